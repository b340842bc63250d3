# SPDX-License-Identifier: Apache-2.0
# cmake -Dcompiler= -Dplanted= -Dunits= -Dmain= -Dfault= -Dfinder= -P expect_planted.cmake
# Checks the planted headers without the fault, which must pass, and with it, which must fail in what
# `finder` describes.

# Leaves in `found` what fails of: each header alone, all together in either order, both linked.
function(check definition)
  set(compile "${compiler}" -std=c++20 "-I${planted}" "${definition}")
  file(GLOB alone RELATIVE "${units}" "${units}/alone/*.cpp")
  set(found "")
  foreach(unit IN LISTS alone ITEMS shuffled.cpp reversed.cpp)
    execute_process(COMMAND ${compile} -fsyntax-only "${units}/${unit}" RESULT_VARIABLE status
                    ERROR_QUIET)
    if(NOT status EQUAL 0)
      list(APPEND found "${unit}")
    endif()
  endforeach()
  if(NOT found)
    execute_process(COMMAND ${compile} "${units}/shuffled.cpp" "${units}/reversed.cpp" "${main}" -o
                            "${units}/${fault}"
                    RESULT_VARIABLE status ERROR_QUIET)
    if(NOT status EQUAL 0)
      set(found "linking")
    endif()
  endif()
  set(found "${found}" PARENT_SCOPE)
endfunction()

check(-DOMNIBAL_PLANTED_NOTHING)
if(found)
  message(FATAL_ERROR "Headers without a fault fail: ${found}")
endif()
check("-D${fault}")
if(NOT found MATCHES "${finder}")
  message(FATAL_ERROR "${fault} should fail in ${finder}, but fails in: ${found}")
endif()
