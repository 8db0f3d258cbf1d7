# lwIP, compiled from Debian's source package: isounik_add_lwip(NAME TYPE) makes a library of its core.
#
# Include after the project has C enabled. The caller adds compile options: the kernel its flags, the host tests
# sanitizers. The port's headers (net/lwip/include) decide what is built in.
#
# Debian's patches are not applied: of bookworm's series, patch9350 and patch9807 extend the sequential API, cmake
# and port build a shared library, and CVE-2020-8597 is in PPP; none of that is compiled here.
set(ISOUNIK_LWIP_DIR ${CMAKE_BINARY_DIR}/third_party/lwip)
if(NOT EXISTS ${ISOUNIK_LWIP_DIR}/.complete)
    message(STATUS "Fetching the source package of lwIP")
    execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch_source ${CMAKE_BINARY_DIR}/third_party lwip src/core/tcp.c
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "lwIP could not be fetched (see above)")
    endif()
endif()

set(ISOUNIK_LWIP_INCLUDES ${CMAKE_SOURCE_DIR}/net/lwip/include ${ISOUNIK_LWIP_DIR}/src/include)
# timeouts.c is not among them: net/timers.cpp takes its place (LWIP_TIMERS_CUSTOM).
set(core def inet_chksum init ip mem memp netif pbuf stats sys tcp tcp_in tcp_out udp
    ipv4/dhcp ipv4/etharp ipv4/icmp ipv4/ip4 ipv4/ip4_addr ipv4/ip4_frag
    ipv6/ethip6 ipv6/icmp6 ipv6/inet6 ipv6/ip6 ipv6/ip6_addr ipv6/ip6_frag ipv6/nd6)
set(ISOUNIK_LWIP_SOURCES)
foreach(file ${core})
    list(APPEND ISOUNIK_LWIP_SOURCES ${ISOUNIK_LWIP_DIR}/src/core/${file}.c)
endforeach()
list(APPEND ISOUNIK_LWIP_SOURCES ${ISOUNIK_LWIP_DIR}/src/netif/ethernet.c)

function(isounik_add_lwip name type)
    add_library(${name} ${type} ${ISOUNIK_LWIP_SOURCES})
    target_include_directories(${name} SYSTEM PUBLIC ${ISOUNIK_LWIP_INCLUDES})
    # Not our code: its warnings are not ours to mend; it type-puns addresses.
    target_compile_options(${name} PRIVATE -w -fno-strict-aliasing)
endfunction()
