/* A python3 of its own name whose interpreter is in libpython.so, as programs have that embed one.
 */
#include <Python.h>

int main(int argc, char **argv)
{
	return Py_BytesMain(argc, argv);
}
