/* Forks a child that gives up every system call but read, write and _exit (SECCOMP_MODE_STRICT). */
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int status;

	if (fork() == 0) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
			_exit(2);
		if (write(1, "strict\n", 7) != 7)
			syscall(SYS_exit, 3);
		syscall(SYS_exit, 5);
	}
	wait(&status);
	printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
