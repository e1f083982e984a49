/* jupyter_client/connect.py's write_connection_file, read back. See connection_file.h. */
#include "collector/connection_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/procfs.h"
#include "probe/base/cleanup.h"

#define PATH_BYTES 64
#define FILE_BYTES_MAX (64 << 10)

static int refuse(const char **ret_why, int rc, const char *why)
{
	*ret_why = why;
	return rc;
}

void connection_file_clear(struct connection_file *c)
{
	free(c->iopub);
	free(c->key);
	*c = (struct connection_file){0};
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

/* ---- the file ---------------------------------------------------------------------------- */

static int owner_of(uint32_t pid, uid_t *ret)
{
	uint64_t uid;
	int rc = procfs_status(pid, "Uid", 10, &uid); /* the real one comes first */

	if (!rc)
		*ret = (uid_t)uid;
	return rc;
}

/* As the target sees the path: below its root, or its current folder. */
static int file_load(uint32_t pid, const char *name, uid_t owner, json_t **ret)
{
	cleanup(freep) char *path = NULL;
	cleanup(closep) int fd = -1;
	struct stat st;

	if (asprintf(&path, "/proc/%" PRIu32 "/%s%s", pid, *name == '/' ? "root" : "cwd/", name) <
		0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st))
		return errno == ENOENT ? -ENOENT : -EACCES;
	if (!S_ISREG(st.st_mode) || st.st_uid != owner)
		return -EACCES;
	if (st.st_size > FILE_BYTES_MAX)
		return -EPROTO;
	*ret = json_loadfd(fd, 0, NULL);
	return json_is_object(*ret) ? 0 : -EPROTO;
}

/* ---- what it names ----------------------------------------------------------------------- */

static bool same_network(uint32_t pid)
{
	char path[PATH_BYTES];
	struct stat ours, its;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/ns/net", pid);
	return !stat("/proc/self/ns/net", &ours) && !stat(path, &its) && ours.st_ino == its.st_ino;
}

/* An address of this machine; a kernel that listens on all of them is met on the loopback. */
static bool is_local(const char *ip, const char **ret_ip)
{
	struct ifaddrs *list, *at;
	struct in_addr wanted;
	bool local = false;

	*ret_ip = ip;
	if (!strcmp(ip, "localhost") || !strcmp(ip, "0.0.0.0") || !strcmp(ip, "*")) {
		*ret_ip = "127.0.0.1";
		return true;
	}
	if (inet_pton(AF_INET, ip, &wanted) != 1)
		return false;
	if (ntohl(wanted.s_addr) >> 24 == 127)
		return true;
	if (getifaddrs(&list))
		return false;
	for (at = list; at && !local; at = at->ifa_next)
		local = at->ifa_addr && at->ifa_addr->sa_family == AF_INET &&
			((struct sockaddr_in *)at->ifa_addr)->sin_addr.s_addr == wanted.s_addr;
	freeifaddrs(list);
	return local;
}

static int tcp_endpoint(
	uint32_t pid, const char *ip, json_int_t port, char **ret, const char **ret_why)
{
	if (!is_local(ip, &ip))
		return refuse(ret_why, -EACCES, "its ports are not on this machine");
	if (!same_network(pid))
		return refuse(ret_why, -EACCES, "its ports are in another network namespace");
	return asprintf(ret, "tcp://%s:%d", ip, (int)port) < 0
		       ? refuse(ret_why, -ENOMEM, "no memory")
		       : 0;
}

/* jupyter_client: ipc://IP-PORT, where IP is a path. */
static int ipc_endpoint(uint32_t pid, uid_t owner, const char *ip, json_int_t port, char **ret,
	const char **ret_why)
{
	cleanup(freep) char *path = NULL;
	struct stat st;

	if (asprintf(&path, "/proc/%" PRIu32 "/%s%s-%d", pid, *ip == '/' ? "root" : "cwd/", ip,
		    (int)port) < 0)
		return refuse(ret_why, -ENOMEM, "no memory");
	if (stat(path, &st) || !S_ISSOCK(st.st_mode) || st.st_uid != owner)
		return refuse(ret_why, -EACCES, "its iopub socket is not there, or not its user's");
	return asprintf(ret, "ipc://%s", path) < 0 ? refuse(ret_why, -ENOMEM, "no memory") : 0;
}

static int endpoint_make(
	uint32_t pid, uid_t owner, const json_t *json, char **ret, const char **ret_why)
{
	const char *transport = json_string_value(json_object_get(json, "transport"));
	const char *ip = json_string_value(json_object_get(json, "ip"));
	json_int_t port = json_integer_value(json_object_get(json, "iopub_port"));

	if (!ip || port <= 0 || port > UINT16_MAX)
		return refuse(ret_why, -EPROTO, "its connection file names no iopub port");
	if (!transport || !strcmp(transport, "tcp"))
		return tcp_endpoint(pid, ip, port, ret, ret_why);
	if (!strcmp(transport, "ipc"))
		return ipc_endpoint(pid, owner, ip, port, ret, ret_why);
	return refuse(ret_why, -EPROTO, "its connection file names an unknown transport");
}

int connection_file_read(uint32_t pid, struct connection_file *ret, const char **ret_why)
{
	cleanup(connection_file_clear) struct connection_file told = {0};
	cleanup(freep) char **argv = NULL;
	cleanup(json_freep) json_t *json = NULL;
	const char *name, *scheme, *key;
	uid_t owner;
	int rc = procfs_argv(pid, &argv);

	if (!rc)
		rc = owner_of(pid, &owner);
	if (rc)
		return refuse(ret_why, rc, "its command line cannot be read");
	name = procfs_connection_file(argv);
	if (!name)
		return refuse(ret_why, -ENOENT, "it is no Jupyter kernel");
	rc = file_load(pid, name, owner, &json);
	if (rc)
		return refuse(ret_why, rc,
			rc == -ENOENT   ? "its connection file is gone"
			: rc == -EACCES ? "its connection file is not its own user's"
					: "its connection file cannot be understood");
	scheme = json_string_value(json_object_get(json, "signature_scheme"));
	key = json_string_value(json_object_get(json, "key"));
	if (!key || (*key && scheme && strcmp(scheme, "hmac-sha256")))
		return refuse(ret_why, -EPROTO, "its messages are not signed with hmac-sha256");
	rc = endpoint_make(pid, owner, json, &told.iopub, ret_why);
	if (rc)
		return rc;
	told.key = strdup(key);
	if (!told.key)
		return refuse(ret_why, -ENOMEM, "no memory");
	*ret = told;
	told = (struct connection_file){0};
	return 0;
}
