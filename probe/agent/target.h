/*
 * What a C call touched, as text. Async-signal-safe, changes errno; each writes at most `size`
 * bytes and returns how many.
 */
#ifndef PROBE_AGENT_TARGET_H
#define PROBE_AGENT_TARGET_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

size_t target_text(const char *text, char *buf, size_t size); /* NULL: 0 */
size_t target_fd(int fd, char *buf, size_t size);       /* path, peer, or what /proc calls it */
size_t target_listener(int fd, char *buf, size_t size); /* own address of a socket */
size_t target_address(const struct sockaddr *address, socklen_t len, char *buf, size_t size);
size_t target_child(pid_t pid, char *buf, size_t size); /* its command line, while it is there */

#endif
