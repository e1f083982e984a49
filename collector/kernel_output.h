/*
 * What a kernel writes to its stdout and stderr outside its cells. It goes to a file of the
 * session, so that a kernel never waits for us nor dies with us, and from there to our stderr.
 */
#ifndef COLLECTOR_KERNEL_OUTPUT_H
#define COLLECTOR_KERNEL_OUTPUT_H

struct kernel_output;

/* dir: the session folder. The caller owns *ret: kernel_output_free(). */
int kernel_output_open(const char *dir, struct kernel_output **ret);
void kernel_output_free(struct kernel_output *output); /* accepts NULL */
/* For the kernel to write to. */
int kernel_output_fd(const struct kernel_output *output);
/* Show the whole lines that have come since; `final` what is no whole line, too. */
void kernel_output_show(struct kernel_output *output, int final);

#endif
