/* What lwIP wants to know of its compiler and platform (lwip/arch.h). */
#ifndef ISOUNIK_LWIP_CC_H
#define ISOUNIK_LWIP_CC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h> /* ssize_t */

#ifdef __cplusplus
extern "C" {
#endif

/* All defined in net/lwip_port.cpp. */
void isounik_lwip_panic(const char* message) __attribute__((noreturn));
uint32_t isounik_lwip_random(void);
void* isounik_lwip_malloc(size_t size);
void* isounik_lwip_calloc(size_t count, size_t size);
void isounik_lwip_free(void* memory);

#ifdef __cplusplus
}
#endif

#ifndef BYTE_ORDER
#define BYTE_ORDER LITTLE_ENDIAN
#endif
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define LWIP_PLATFORM_DIAG(arguments)
#define LWIP_PLATFORM_ASSERT(message) isounik_lwip_panic(message)
#define LWIP_RAND() isounik_lwip_random()
#define SYS_ARCH_DECL_PROTECT(level)
#define SYS_ARCH_PROTECT(level)
#define SYS_ARCH_UNPROTECT(level)

#endif
