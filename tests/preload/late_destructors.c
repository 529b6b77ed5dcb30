/*
 * Open, use and close a library with destructors, in threads that end before and after, and at exit.
 *
 * Usage: late_destructors LIBRARY
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *path;
static void *main_kept;

static void use_library(void)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(2);
    }
    void (*use)(void) = (void (*)(void))dlsym(library, "late_use");
    use();
    dlclose(library); /* stays as long as a destructor of it is due */
}

static void *use_in_thread(void *argument)
{
    use_library();
    free(malloc(100));
    return argument;
}

static __attribute__((destructor)) void main_end(void)
{
    free(main_kept);
    free(malloc(100000));
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 2)
        return 64;
    path = argv[1];
    main_kept = malloc(1);
    for (int i = 0; i < 20; i++) {
        if (pthread_create(&thread, NULL, use_in_thread, NULL) != 0)
            return 3;
        pthread_join(thread, NULL);
    }
    use_library();
    puts("end of main");
    return 0;
}
