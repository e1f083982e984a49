/* `awaitscope attach`: its options and help, and which process is meant. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/attach.h"
#include "collector/attachable.h"
#include "collector/options.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define NAME_CHARS 60

static void help(void)
{
	puts("usage: awaitscope attach [OPTION...] [PID]\n\n"
	     "Watches the event loops of a running process from the kernel (eBPF): no code is "
	     "brought into it, it is never stopped.\n"
	     "Says when a loop is held and where; records a trace until Ctrl-C, --duration or the "
	     "process's end. Needs root.\n"
	     "Without a PID it lists the Python processes with a running event loop.\n");
	options_list(OPTIONS_ATTACH);
	puts("\n--follow: the next start of a kernel is the process with the same connection "
	     "file, that of another program the one\n"
	     "with the same user, command line and folder, and the same parent or control group, "
	     "that begins when it has ended.\n"
	     "It waits for that as long as it takes, and says so; each start is a process of the "
	     "one trace.");
	puts("\nStatus: 0 done, also when the process ended; 2 wrong usage; 3 the process cannot "
	     "be "
	     "traced.\n\n"
	     "Examples:\n"
	     "  sudo awaitscope attach 4711\n"
	     "  sudo awaitscope attach -o trace.db --duration 30s 4711\n"
	     "  sudo awaitscope attach --follow 4711");
}

static int pid_parse(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || !n || n > INT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

/* Without a process: those there are. */
static int list(void)
{
	int rc = attachable_print(stdout);

	if (rc)
		log_error("/proc cannot be read: %s", strerror(-rc));
	return rc ? STATUS_OURS : 0;
}

int attach_main(int argc, char **argv, trace_done_fn done)
{
	struct run_options o = options_defaults(done);
	struct options_said said = {.level = LOG_NORMAL, .color = true};
	cleanup(freep) char *shown = NULL;
	uint32_t pid;
	int status;

	log_setup(said.level, said.color);
	status = options_parse(OPTIONS_ATTACH, argc, argv, &o, &said);
	if (said.help) {
		help();
		return 0;
	}
	if (status)
		return status;
	if (argc == optind)
		return list();
	if (argc - optind != 1) {
		log_error("one process at a time; awaitscope attach --help tells more");
		return STATUS_USAGE;
	}
	if (pid_parse(argv[optind], &pid)) {
		shown = text_for_terminal(argv[optind], NAME_CHARS);
		log_error("%s is no process id; awaitscope attach --help tells more",
			shown ? shown : "that");
		return STATUS_USAGE;
	}
	if (!strcmp(o.sensor, "agent")) {
		log_error("--sensor agent: attach brings no code into a process that runs, which "
			  "would have to be stopped and made to load it; attach without it, or "
			  "start the program with awaitscope run");
		return STATUS_UNTRACEABLE;
	}
#ifdef AWAITSCOPE_BPF
	return attach(&o, pid, argv);
#else
	log_error("this awaitscope was built without its eBPF sensor, so it cannot attach");
	return STATUS_UNTRACEABLE;
#endif
}
