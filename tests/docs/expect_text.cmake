# SPDX-License-Identifier: Apache-2.0
# cmake -Dfile= -Dtext= -P expect_text.cmake: the file says the text, wherever its lines break.

file(READ "${file}" content)
string(REGEX REPLACE "[ \n]+" " " content "${content}")
string(FIND "${content}" "${text}" place)
if(place EQUAL -1)
  message(FATAL_ERROR "${file} does not say: ${text}")
endif()
