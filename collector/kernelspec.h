/* Jupyter's kernels: the folders that describe them, and the interpreters that can run them.
 * Silent. */
#ifndef COLLECTOR_KERNELSPEC_H
#define COLLECTOR_KERNELSPEC_H

struct kernelspec {
	char *name;
	char *dir;         /* the folder with kernel.json; NULL: the interpreter's own ipykernel */
	char *interpreter; /* absolute path of its program; NULL: not found, or as the driver's */
	char *language;    /* "python", "R"; NULL: not said */
};

/*
 * The kernel of this name, searched as Jupyter does. "python3" is always there (dir NULL where no
 * folder describes it). -ENOENT: none of this name. The caller owns *ret: kernelspec_free().
 */
int kernelspec_find(const char *name, struct kernelspec **ret);
void kernelspec_free(struct kernelspec *spec); /* accepts NULL */
/* "ir, python3"; malloc'd, NULL when out of memory. */
char *kernelspec_names(void);
/* Name of the kernel that a notebook asks for, malloc'd; NULL: it names none, or cannot be read as
 * JSON. */
char *kernelspec_of_notebook(const char *path);

#endif
