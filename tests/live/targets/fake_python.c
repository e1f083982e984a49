/* A program that the dynamic linker takes for an interpreter: VERSION is what it says of itself. Whoever touches it ends it. */
#include <stdio.h>
#include <stdlib.h>

const char *Py_GetVersion(void)
{
	return VERSION;
}

int PySys_AddAuditHook(int (*hook)(const char *, void *, void *), void *data)
{
	abort();
}

void PyMem_GetAllocator(int domain, void *allocator)
{
	abort();
}

void PyMem_SetAllocator(int domain, void *allocator)
{
	abort();
}

int main(void)
{
	puts("ran");
	return 7;
}
