/*
 * What the bindings are made from: the DPDK headers the safe layer needs, and shims for what Rust cannot name.
 *
 * A shim exists for one of four reasons only: the thing is a macro (rte_errno, flag bits), the thing is a bit field or an
 * anonymous union whose Rust name would differ between DPDK releases (rte_mbuf, rte_eth_link), it needs stdio, or it
 * passes one of DPDK's functions to another (the pool).
 */
#ifndef DPDK_SYS_WRAPPER_H
#define DPDK_SYS_WRAPPER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fopencookie */
#endif
#include <stdio.h>
#include <stddef.h>

#include <rte_config.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* Offsets of the packet-buffer fields that are read for every packet: constants, so that the read stays inline in Rust. */
enum dpdk_shim_mbuf_layout {
	DPDK_SHIM_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	DPDK_SHIM_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	DPDK_SHIM_MBUF_REFCNT = offsetof(struct rte_mbuf, refcnt),
	DPDK_SHIM_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	DPDK_SHIM_MBUF_PORT = offsetof(struct rte_mbuf, port),
	DPDK_SHIM_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	DPDK_SHIM_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	DPDK_SHIM_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	DPDK_SHIM_MBUF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci),
	DPDK_SHIM_MBUF_VLAN_TCI_OUTER = offsetof(struct rte_mbuf, vlan_tci_outer),
	DPDK_SHIM_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
	DPDK_SHIM_MBUF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload),
};

/* Flags that the headers give as macros with casts. */
static const uint64_t DPDK_SHIM_MBUF_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
static const uint64_t DPDK_SHIM_MBUF_RX_QINQ_STRIPPED = RTE_MBUF_F_RX_QINQ_STRIPPED;
static const uint64_t DPDK_SHIM_MBUF_KIND = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
/* Two bits each: good alone is one of four answers. */
static const uint64_t DPDK_SHIM_MBUF_RX_IP_CHECKSUM = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t DPDK_SHIM_MBUF_RX_IP_CHECKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t DPDK_SHIM_MBUF_RX_TCP_CHECKSUM = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t DPDK_SHIM_MBUF_RX_TCP_CHECKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t DPDK_SHIM_MBUF_TX_CHECKSUM_IPV4 = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t DPDK_SHIM_MBUF_TX_CHECKSUM_IPV6 = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM;
static const uint64_t DPDK_SHIM_MBUF_TX_SEGMENT = RTE_MBUF_F_TX_TCP_SEG;
static const uint64_t DPDK_SHIM_RX_CHECKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t DPDK_SHIM_TX_CHECKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
static const uint64_t DPDK_SHIM_TX_SEGMENT = RTE_ETH_TX_OFFLOAD_TCP_TSO;
static const uint64_t DPDK_SHIM_RSS_IP =
	RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER |
	RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
static const uint64_t DPDK_SHIM_RSS_TCP = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP;
static const uint64_t DPDK_SHIM_RSS_UDP = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;

/* rte_errno is a macro over a thread-local. */
static inline int dpdk_shim_errno(void)
{
	return rte_errno;
}

/* rte_eth_link holds bit fields, and an anonymous union from 24.11 on. */
static inline int dpdk_shim_link(uint16_t port, uint32_t *speed_mbps, int *up, int *full_duplex)
{
	struct rte_eth_link link;
	int rc = rte_eth_link_get_nowait(port, &link);

	if (rc == 0) {
		*speed_mbps = link.link_speed;
		*up = link.link_status;
		*full_duplex = link.link_duplex;
	}
	return rc;
}

/*
 * rte_pktmbuf_pool_create for memory in ordinary pages: there it would put one packet on each 4 KiB page, so that none
 * crosses a page, which only devices that write to physical addresses need. Those need hugepages anyway.
 */
static inline struct rte_mempool *dpdk_shim_pool_across_pages(const char *name, unsigned int packets, unsigned int cache,
							       uint16_t data_room, int socket)
{
	struct rte_pktmbuf_pool_private private = { .mbuf_data_room_size = data_room, .mbuf_priv_size = 0 };
	unsigned int element = sizeof(struct rte_mbuf) + data_room;
	struct rte_mempool *pool = rte_mempool_create_empty(name, packets, element, cache, sizeof(private), socket,
							    RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	int rc;

	if (pool == NULL)
		return NULL;
	rc = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (rc == 0) {
		rte_pktmbuf_pool_init(pool, &private);
		rc = rte_mempool_populate_default(pool);
	}
	if (rc < 0) {
		rte_mempool_free(pool);
		rte_errno = -rc;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

/* What the EAL logs goes to `write`. The stream lives as long as the process, as the EAL asks. */
static inline int dpdk_shim_log_to(ssize_t (*write)(void *cookie, const char *text, size_t len))
{
	cookie_io_functions_t functions = { .read = NULL, .write = write, .seek = NULL, .close = NULL };
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return -1;
	setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	return rte_openlog_stream(stream);
}

#endif
