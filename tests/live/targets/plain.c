/* A program without Python: what it prints and returns must not depend on what is loaded into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char *block = malloc(100);

	strcpy(block, "block");
	printf("%s, %d argument(s), uid %d euid %d, secure %lu\n", block, argc - 1, (int)getuid(), (int)geteuid(),
		getauxval(AT_SECURE));
	free(block);
	return 3;
}
