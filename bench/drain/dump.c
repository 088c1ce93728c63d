/* The physical limit of a list of connections: it asks the kernel for what ss -tiM
 * asks for, MPTCP connections and TCP sockets of both families with the extensions
 * of -i, and looks at none of the answers. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define BIT(n) (1u << (n))
#define EXTENSIONS (BIT(INET_DIAG_INFO - 1) | BIT(INET_DIAG_VEGASINFO - 1) | BIT(INET_DIAG_CONG - 1))
/* All states but SYN-RECV, TIME-WAIT, CLOSE and LISTEN: those that ss shows. */
#define STATES (0x1ffeu & ~(BIT(3) | BIT(6) | BIT(7) | BIT(10)))

/* ask requests the sockets of a family and protocol. */
static int ask(int fd, int family, int protocol) {
	struct {
		struct nlmsghdr n;
		struct inet_diag_req_v2 r;
		struct { unsigned short len, type; unsigned value; } protocol;
	} q;
	memset(&q, 0, sizeof q);
	q.n.nlmsg_len = sizeof q;
	q.n.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	q.n.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	q.r.sdiag_family = family;
	q.r.sdiag_protocol = protocol & 0xff;
	q.r.idiag_ext = EXTENSIONS;
	q.r.idiag_states = STATES;
	q.protocol.len = sizeof q.protocol;
	q.protocol.type = INET_DIAG_REQ_PROTOCOL;
	q.protocol.value = protocol;
	return send(fd, &q, sizeof q, 0) < 0 ? -1 : 0;
}

/* drain reads until the end of a dump and adds the sockets to n. */
static int drain(int fd, long *n) {
	static char data[1 << 16];
	for (;;) {
		int len = recv(fd, data, sizeof data, 0);
		struct nlmsghdr *h = (struct nlmsghdr *)data;
		if (len < 0 && errno == EINTR) continue;
		if (len <= 0) return -1;
		for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_DONE) return 0;
			if (h->nlmsg_type == NLMSG_ERROR) return -1;
			++*n;
		}
	}
}

int main(void) {
	static const int families[] = { AF_INET, AF_INET6 }, protocols[] = { IPPROTO_MPTCP, IPPROTO_TCP };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	long n = 0;
	for (int p = 0; p < 2; p++)
		for (int f = 0; f < 2; f++)
			if (ask(fd, families[f], protocols[p]) || drain(fd, &n)) { perror("dump"); return 1; }
	printf("%ld\n", n);
	return 0;
}
