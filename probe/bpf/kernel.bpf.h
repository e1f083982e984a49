/*
 * The few members of kernel structures that are read, found by name in the running kernel's BTF
 * (CO-RE): no offset here matters. From include/linux/{sched,sched/signal,fs,dcache,mount,net}.h,
 * kernel/sched/sched.h, net/sock.h, fs/mount.h,
 * arch/x86/include/asm/{processor,ptrace}.h@6.1, 6.18.
 */
#ifndef PROBE_BPF_KERNEL_H
#define PROBE_BPF_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rq {
	__u64 clock;              /* as of the last look at the scheduler's clock */
	__u64 prev_steal_time_rq; /* CONFIG_PARAVIRT_TIME_ACCOUNTING */
};

struct cfs_rq {
	struct rq *rq; /* CONFIG_FAIR_GROUP_SCHED, as cfs_rq below */
};

struct sched_entity {
	__u64 sum_exec_runtime;
	__u64 nr_migrations;
	struct cfs_rq *cfs_rq;
};

struct sched_info {
	unsigned long long run_delay, last_arrival;
};

struct thread_struct {
	unsigned long fsbase; /* pthread_self() of the thread, once it has run */
};

struct inode {
	unsigned short i_mode;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct in6_addr {
	unsigned char s6_addr[16]; /* never read by name */
};

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
};

struct sock {
	struct sock_common __sk_common;
};

struct socket {
	struct sock *sk;
};

struct signal_struct {
	unsigned int flags;
};
#define SIGNAL_GROUP_EXIT 4u /* a signal or exit() ends the whole process */

struct upid {
	int nr; /* first there */
};

struct pid {
	unsigned int level;
	struct upid numbers[1]; /* one a level of pid namespaces */
};

struct task_struct {
	__u32 pid, tgid;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct task_struct *group_leader;
	char comm[16];
	struct sched_entity se;
	struct sched_info sched_info;
	struct files_struct *files;
	struct thread_struct thread;
};

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r10, dx, si, di, orig_ax, ip, sp;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
