/* What a system call touched, put into scratch->text: the path behind a descriptor, a socket's
 * peer, a path or address that was given. */
#ifndef PROBE_BPF_TOUCH_H
#define PROBE_BPF_TOUCH_H

#include "probe/bpf/call_kind.h"
#include "probe/bpf/state.bpf.h"

#define NAMES_MAX 24u      /* of a path; the outermost are left out */
#define NAME_BYTES 64u     /* of each, longer ones are cut */
#define FILE_TYPE 0170000u /* S_IFMT, S_IFSOCK of linux/stat.h */
#define FILE_SOCKET 0140000u
#define FAMILY_INET 2u
#define FAMILY_INET6 10u

struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
	struct scratch *to;
};

static long path_walk_one(__u32 i, struct path_walk *w)
{
	struct dentry *dentry = w->dentry, *parent;
	struct mount *mount = w->mount, *outer;
	const unsigned char *name;
	__u32 at = w->to->length;
	long n;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		outer = BPF_CORE_READ(mount, mnt_parent);
		if (outer == mount)
			return 1;
		w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		w->mount = outer;
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	name = BPF_CORE_READ(dentry, d_name.name);
	if (at > TOUCHED_BYTES - NAME_BYTES)
		return 1;
	n = bpf_probe_read_kernel_str(w->to->text + at, NAME_BYTES, name);
	if (n < 0)
		return 1;
	w->to->length = at + (__u32)n;
	if (parent == dentry)
		return 1; /* of no file system with a root: pipe:, socket:, ... */
	w->dentry = parent;
	return 0;
}

static __always_inline __u32 touch_path(struct file *file, struct scratch *to)
{
	struct vfsmount *mount = BPF_CORE_READ(file, f_path.mnt);
	struct path_walk w = {.dentry = BPF_CORE_READ(file, f_path.dentry),
		.mount = (void *)mount - bpf_core_field_offset(struct mount, mnt),
		.to = to};

	to->length = 0;
	bpf_loop(NAMES_MAX, path_walk_one, &w, 0);
	return to->length < TOUCHED_BYTES ? to->length : TOUCHED_BYTES;
}

static __always_inline __u32 touch_socket(struct file *file, struct scratch *to)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sock = BPF_CORE_READ(socket, sk);
	struct kernel_peer *peer = (struct kernel_peer *)to->text;

	__builtin_memset(peer, 0, sizeof(*peer));
	peer->family = BPF_CORE_READ(sock, __sk_common.skc_family);
	peer->port = BPF_CORE_READ(sock, __sk_common.skc_dport);
	if (peer->family == FAMILY_INET)
		BPF_CORE_READ_INTO((__u32 *)peer->address, sock, __sk_common.skc_daddr);
	else if (peer->family == FAMILY_INET6)
		bpf_probe_read_kernel(peer->address, 16,
			(void *)sock +
				bpf_core_field_offset(struct sock, __sk_common.skc_v6_daddr));
	return sizeof(*peer);
}

__noinline __u32 touch_fd(__s32 fd, struct scratch *to, __u32 *ret_what)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files, *file = NULL;

	if (!to || !ret_what || fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file)
		return 0;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & FILE_TYPE) == FILE_SOCKET) {
		*ret_what = TOUCHES_PEER;
		return touch_socket(file, to);
	}
	*ret_what = TOUCHES_PATH;
	return touch_path(file, to);
}

static __always_inline __u32 touch_name(__u64 address, struct scratch *to, __u32 *ret_what)
{
	long n = bpf_probe_read_user_str(to->text, TOUCHED_BYTES, (void *)address);

	if (n <= 1)
		return 0;
	*ret_what = TOUCHES_NAME;
	return (__u32)(n - 1);
}

/* struct sockaddr as given: family, port, then in_addr, or flow and in6_addr, or a path. */
static __always_inline __u32 touch_address(__u64 address, struct scratch *to, __u32 *ret_what)
{
	struct kernel_peer *peer = (struct kernel_peer *)to->text;
	__u32 skip;

	__builtin_memset(peer, 0, sizeof(*peer));
	if (bpf_probe_read_user(peer, 4, (void *)address))
		return 0;
	skip = peer->family == FAMILY_INET6 ? 8 : peer->family == FAMILY_INET ? 4 : 2;
	if (skip == 2)
		peer->port = 0;
	if (skip == 2)
		bpf_probe_read_user_str(
			peer->address, sizeof(peer->address) - 1, (void *)address + skip);
	else
		bpf_probe_read_user(peer->address, 16, (void *)address + skip);
	*ret_what = TOUCHES_PEER;
	return sizeof(*peer);
}

static __always_inline __u32 touch_child(__u64 pid, struct scratch *to, __u32 *ret_what)
{
	if ((__s32)pid <= 0)
		return 0;
	*(__u32 *)to->text = (__u32)pid;
	*ret_what = TOUCHES_CHILD;
	return sizeof(__u32);
}

/* ---- by the kind of call */

#define NO_FD (-1)

static __always_inline __s32 call_fd(const struct call_kind *kind, const __u64 argument[3])
{
	__s32 fd = NO_FD;

	if (kind->how == HOW_SELECT)
		return (__s32)argument[0] - 1;
	if (kind->how == HOW_POLL && argument[1])
		bpf_probe_read_user(
			&fd, sizeof(fd), (void *)argument[0]); /* struct pollfd begins so */
	if (kind->fd_at == 0)
		fd = (__s32)argument[0];
	if (kind->fd_at == 1)
		fd = (__s32)argument[1];
	return fd;
}

static __always_inline __u32 call_touches(const struct call_kind *kind, __s32 fd,
	const __u64 argument[3], struct scratch *to, __u32 *ret_what)
{
	switch (kind->how) {
	case HOW_FD:
	case HOW_POLL:
	case HOW_SELECT:
		return touch_fd(fd, to, ret_what);
	case HOW_PATH:
		return touch_name(argument[0], to, ret_what);
	case HOW_PATH_AT:
		return touch_name(argument[1], to, ret_what);
	case HOW_ADDRESS:
		return touch_address(argument[1], to, ret_what);
	case HOW_CHILD:
		return touch_child(argument[0], to, ret_what);
	default:
		return 0;
	}
}

#endif
