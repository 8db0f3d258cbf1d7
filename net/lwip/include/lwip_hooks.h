/* Hooks that lwIP calls in our port; all under the stack's lock. */
#ifndef ISOUNIK_LWIP_HOOKS_H
#define ISOUNIK_LWIP_HOOKS_H

#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

struct netif;
struct tcp_pcb;
struct tcp_hdr;

/* Initial sequence numbers after RFC 6528. */
u32_t isounik_tcp_isn(const ip_addr_t* local_ip, u16_t local_port, const ip_addr_t* remote_ip, u16_t remote_port);
#define LWIP_HOOK_TCP_ISN isounik_tcp_isn

/* Sees each segment before its connection does; anything but ERR_OK drops it. net/packet_hooks.cpp says why. */
signed char isounik_tcp_segment(struct tcp_pcb* pcb, const struct tcp_hdr* header, u16_t length);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_length, option1_length, option2, p) \
    isounik_tcp_segment(pcb, header, (p)->tot_len)

/* See each packet before lwIP does; 0: go on. */
int isounik_ip4_packet(struct pbuf* p, struct netif* netif);
int isounik_ip6_packet(struct pbuf* p, struct netif* netif);
#define LWIP_HOOK_IP4_INPUT(p, netif) isounik_ip4_packet(p, netif)
#define LWIP_HOOK_IP6_INPUT(p, netif) isounik_ip6_packet(p, netif)

#ifdef __cplusplus
}
#endif

#endif
