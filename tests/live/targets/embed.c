/* An interpreter inside a program: begun and ended as often as asked, the same code run in each life. */
#include <Python.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	int lives = argc > 2 ? atoi(argv[2]) : 1;
	int failed = 0;

	for (int i = 0; i < lives; i++) {
		Py_Initialize();
		failed |= PyRun_SimpleString(argv[1]);
		failed |= Py_FinalizeEx();
		printf("life %d over\n", i);
		fflush(stdout);
	}
	return failed ? 1 : 0;
}
