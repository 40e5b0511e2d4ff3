# Runs PROGRAM; fails unless it exits with 0 and its standard output is, byte for byte, the file EXPECTED.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE output RESULT_VARIABLE status)
file(READ ${EXPECTED} expected)
if(NOT status STREQUAL "0")
    message(FATAL_ERROR "it ended with ${status}, having written:\n${output}")
endif()
if(NOT output STREQUAL expected)
    message(FATAL_ERROR "expected (${EXPECTED}):\n${expected}\nwritten:\n${output}")
endif()
