# SPDX-License-Identifier: Apache-2.0
# The target omnibal::compiled: the bodies of all functions that are no templates, and the instances of
# packers for one to three resources, compiled once, from one or two units per module. It is built only
# when something links it. Programs that call the planner compile in a fraction of the time;
# omnibal::omnibal remains the library of headers alone.
#
# Also installed with the package, where it compiles the installed sources with the user's flags.

function(omnibal_add_compiled include_dir)
  if(TARGET omnibal_compiled)
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${include_dir}/omnibal/*/impl/*.cpp")
  add_library(omnibal_compiled STATIC EXCLUDE_FROM_ALL ${sources})
  add_library(omnibal::compiled ALIAS omnibal_compiled)
  # Each unit says which instances of templates are its own.
  set_target_properties(omnibal_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON UNITY_BUILD OFF)
  target_compile_definitions(omnibal_compiled PUBLIC OMNIBAL_SEPARATE_COMPILATION)
  target_link_libraries(omnibal_compiled PUBLIC omnibal::omnibal)
endfunction()
