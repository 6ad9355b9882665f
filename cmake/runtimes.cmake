# The runtimes that are compiled, where this machine has the compilers. Without them functions in
# those languages are refused, with the reason.
set(MAYFLY_RUNTIMES ${CMAKE_BINARY_DIR}/runtimes-staged)

function(mayfly_compiled_runtime language program compiler)
  find_program(MAYFLY_${compiler} ${compiler})
  if(NOT MAYFLY_${compiler})
    message(STATUS "no ${compiler}: the runtime ${language} is not built")
    return()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtimes/${language}/*)
  add_custom_command(
    OUTPUT ${MAYFLY_RUNTIMES}/${language}/${program}
    COMMAND ${CMAKE_SOURCE_DIR}/runtimes/${language}/build ${MAYFLY_RUNTIMES}/${language}
    DEPENDS ${sources} COMMENT "Building the runtime ${language}" VERBATIM)
  add_custom_target(runtime_${language} ALL DEPENDS ${MAYFLY_RUNTIMES}/${language}/${program})
endfunction()

mayfly_compiled_runtime(java main.jar javac)
mayfly_compiled_runtime(dotnet main.exe mcs)
