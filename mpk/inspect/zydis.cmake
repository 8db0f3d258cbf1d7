# Zydis, compiled from Debian's source package: isounik_add_zydis(NAME TYPE [FORMATTER]) makes a library of its decoder,
# with FORMATTER also of what turns instructions into text.
#
# Include after the project has C enabled. The caller adds compile options: the kernel its flags, the host tests
# sanitizers. Without FORMATTER it is built in minimal mode: decoding tables without operands, some 150 KiB.
# Debian's only patch of it (4.0.0) removes pictures from a README. Zydis includes headers of Zycore and needs no code of it.
get_filename_component(ISOUNIK_ROOT ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(ISOUNIK_ZYDIS_DIR ${CMAKE_BINARY_DIR}/third_party/zydis)
if(NOT EXISTS ${ISOUNIK_ZYDIS_DIR}/.complete)
    message(STATUS "Fetching the source package of Zydis")
    execute_process(COMMAND ${ISOUNIK_ROOT}/tools/fetch_source ${CMAKE_BINARY_DIR}/third_party zydis src/Decoder.c
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "Zydis could not be fetched (see above)")
    endif()
endif()
find_path(ISOUNIK_ZYCORE_INCLUDE Zycore/Types.h)
if(NOT ISOUNIK_ZYCORE_INCLUDE)
    message(FATAL_ERROR "Zycore's headers are missing: install libzycore-dev")
endif()

function(isounik_add_zydis name type)
    set(files Decoder DecoderData Register Segment Utils MetaInfo Mnemonic SharedData)
    if("FORMATTER" IN_LIST ARGN)
        list(APPEND files Formatter FormatterBase FormatterBuffer FormatterIntel FormatterATT String)
    endif()
    list(TRANSFORM files PREPEND ${ISOUNIK_ZYDIS_DIR}/src/)
    list(TRANSFORM files APPEND .c)
    add_library(${name} ${type} ${files})
    target_include_directories(${name} SYSTEM PUBLIC ${ISOUNIK_ZYDIS_DIR}/include ${ISOUNIK_ZYCORE_INCLUDE})
    target_include_directories(${name} SYSTEM PRIVATE ${ISOUNIK_ZYDIS_DIR}/src)
    target_compile_definitions(${name} PUBLIC ZYDIS_STATIC_BUILD ZYCORE_STATIC_BUILD ZYAN_NO_LIBC ZYDIS_DISABLE_ENCODER)
    if(NOT "FORMATTER" IN_LIST ARGN)
        target_compile_definitions(${name} PUBLIC ZYDIS_MINIMAL_MODE ZYDIS_DISABLE_FORMATTER)
    endif()
    target_compile_options(${name} PRIVATE -w)  # not our code: its warnings are not ours to mend
endfunction()
