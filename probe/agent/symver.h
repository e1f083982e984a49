/*
 * glibc symbols the agent imports, bound to their oldest version so that the object loads on older
 * systems too (dlsym, pthread_* and others moved into libc.so.6 in glibc 2.34 under a new version).
 * Include it where one of them is called.
 */
#ifndef PROBE_AGENT_SYMVER_H
#define PROBE_AGENT_SYMVER_H

#if defined(__x86_64__)
#define SYMVER_OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define SYMVER_OLDEST "GLIBC_2.17"
#endif

#define SYMVER(symbol) __asm__(".symver " #symbol "," #symbol "@" SYMVER_OLDEST)

SYMVER(dlopen);
SYMVER(dlclose);
SYMVER(dlsym);
SYMVER(dlvsym);
SYMVER(dladdr);
SYMVER(pthread_key_create);
SYMVER(pthread_setspecific);
SYMVER(pthread_getspecific);
SYMVER(pthread_once);

#if defined(__x86_64__)
__asm__(".symver dladdr1,dladdr1@GLIBC_2.3.3");
#else
SYMVER(dladdr1);
#endif

#endif
