/* The physical limit of a reader on a netlink socket: it joins the event group,
 * takes many messages a system call, and looks at none of them. SIGTERM ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t ended;
static void end(int s) { (void)s; ended = 1; }

/* group asks the controller for the id of mptcp_pm_events. */
static int group(void) {
	struct { struct nlmsghdr n; struct genlmsghdr g; struct nlattr a; char name[12]; } q = {0};
	char b[16384], *p, *e;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), len;
	q.n.nlmsg_len = sizeof q - 3; q.n.nlmsg_type = GENL_ID_CTRL; q.n.nlmsg_flags = NLM_F_REQUEST;
	q.g.cmd = CTRL_CMD_GETFAMILY; q.g.version = 1;
	q.a.nla_type = CTRL_ATTR_FAMILY_NAME; q.a.nla_len = 4 + 9; strcpy(q.name, "mptcp_pm");
	if (send(fd, &q, q.n.nlmsg_len, 0) < 0 || (len = recv(fd, b, sizeof b, 0)) < 0) return -1;
	close(fd);
	e = b + len;
	for (p = b + 12; p + 16 <= e; p++)
		if (!strncmp(p, "mptcp_pm_events", 15)) {
			/* the nest holds the id (header, value), then the name */
			return *(int *)(p - 8);
		}
	return -1;
}

int main(void) {
	enum { BATCH = 64, SIZE = 512 };
	static char data[BATCH][SIZE];
	struct iovec v[BATCH];
	struct mmsghdr m[BATCH];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_GENERIC), g = group(), size = 32 << 20, one = 1;
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	long n = 0;
	struct sigaction act = { .sa_handler = end };
	sigaction(SIGTERM, &act, 0); sigaction(SIGINT, &act, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one);
	if (bind(fd, (void *)&a, sizeof a) || setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &g, sizeof g)) { perror("subscribe"); return 1; }
	memset(m, 0, sizeof m);
	for (int i = 0; i < BATCH; i++) { v[i].iov_base = data[i]; v[i].iov_len = SIZE; m[i].msg_hdr.msg_iov = &v[i]; m[i].msg_hdr.msg_iovlen = 1; }
	while (!ended) {
		struct pollfd p = { fd, POLLIN, 0 };
		int got = recvmmsg(fd, m, BATCH, 0, 0);
		if (got > 0) { n += got; continue; }
		if (errno != EAGAIN && errno != EINTR) break;
		poll(&p, 1, -1);
	}
	printf("%ld\n", n);
	return 0;
}
