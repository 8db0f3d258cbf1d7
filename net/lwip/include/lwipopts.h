/* lwIP's configuration for Iso-UniK; each name is explained in lwip/opt.h. */
#ifndef ISOUNIK_LWIPOPTS_H
#define ISOUNIK_LWIPOPTS_H

/* One lock around the whole stack, no thread of its own: calls run inline (net/stack_lock.h). */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS 1
#define LWIP_TIMERS_CUSTOM 1
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_STATS 0

/* Everything comes from the kernel's heap; net/lwip_port.cpp bounds the sum. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define mem_clib_malloc isounik_lwip_malloc
#define mem_clib_calloc isounik_lwip_calloc
#define mem_clib_free isounik_lwip_free

/* Ethernet and IP. Two bytes of padding put the IP header on a word boundary. */
#define ETH_PAD_SIZE 2
#define LWIP_ARP 1
#define ARP_QUEUEING 1
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ICMP 1
#define LWIP_ICMP6 1
#define LWIP_RAW 0
#define LWIP_IGMP 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_FORWARD 0
#define LWIP_ND6_QUEUEING 1
#define LWIP_DHCP 1
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_DNS 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 128
#define MEMP_NUM_REASSDATA 16
#define IP_FRAG 1
/* Reassembly keeps 64-bit pointers where a fragment's header was: that needs a copy of the header. */
#define IPV6_FRAG_COPYHEADER 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_TX_SINGLE_PBUF 0

/* Loopback: 127.0.0.1 and ::1 on an interface of their own; packets wait in a queue that StackLock drains. */
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 0
#define LWIP_NETIF_LOOPBACK_MULTITHREADING 0
#define LWIP_LOOPIF_MULTICAST 0

/* Checksums are made and checked per interface: none on loopback, TCP and UDP by the device where it can. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY 0

/* UDP. Which sockets may share a port is decided in net/ports.cpp, so lwIP must let all do so. */
#define LWIP_UDP 1
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 0
#define LWIP_NETBUF_RECVINFO 1

/* TCP. */
#define LWIP_TCP 1
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 2
#define TCP_WND (128 * 1024)
#define TCP_SND_BUF (128 * 1024)
#define TCP_SND_QUEUELEN 1024
#define TCP_SNDLOWAT (TCP_SND_BUF / 3)
#define MEMP_NUM_TCP_SEG 4096
#define MEMP_NUM_TCP_PCB 4096
#define TCP_QUEUE_OOSEQ 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_MAX_SACK_NUM 4
#define TCP_OVERSIZE TCP_MSS
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 0
/* Defaults of Linux: 2 hours, 75 seconds, 9 probes. */
#define TCP_KEEPIDLE_DEFAULT 7200000UL
#define TCP_KEEPINTVL_DEFAULT 75000UL
#define TCP_KEEPCNT_DEFAULT 9U
/* TIME-WAIT lasts 2 * MSL. Linux keeps 60 s; 10 s here, and net/timers.cpp lets the oldest go early. */
#define TCP_MSL 5000UL
#define TCP_DEFAULT_LISTEN_BACKLOG 0xff
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define LWIP_DISABLE_MEMP_SANITY_CHECKS 1

#endif
