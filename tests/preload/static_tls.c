/*
 * Take the static TLS block piece by piece until there is none, then open the library and use it from threads.
 *
 * Usage: static_tls LIBTAGPOOL TLS-LIBRARY...
 */
#include <tagpool.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void *(*alloc)(tagpool_kind_t, size_t, tagpool_tag_t);
static void (*release)(void *);
static int (*stats)(tagpool_kind_t, tagpool_tag_t, struct tagpool_stats *);

static const tagpool_tag_t tag = TAGPOOL_TAG('S', 't', 'l', 's');
enum { THREADS = 8, BLOCKS = 500 };

static void *work(void *argument)
{
    for (int i = 0; i < BLOCKS; i++) {
        char *block = alloc(TAGPOOL_PAGED, (size_t)i, tag);
        if (block == NULL)
            return NULL;
        memset(block, 1, (size_t)i);
        release(block);
    }
    return argument;
}

static int exhaust(int count, char **paths)
{
    for (int i = 0; i < count; i++)
        if (dlopen(paths[i], RTLD_NOW) == NULL)
            return strstr(dlerror(), "static TLS") != NULL;
    return 0;
}

static int use(const char *path)
{
    pthread_t threads[THREADS];
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    alloc = (void *(*)(tagpool_kind_t, size_t, tagpool_tag_t))dlsym(library, "tagpool_alloc");
    release = (void (*)(void *))dlsym(library, "tagpool_free");
    stats = (int (*)(tagpool_kind_t, tagpool_tag_t, struct tagpool_stats *))dlsym(library, "tagpool_stats");
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, library);
    int failed = work(library) == NULL;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed |= result == NULL;
    }
    struct tagpool_stats now;
    failed |= stats(TAGPOOL_PAGED, tag, &now) != 0 || now.allocs != (THREADS + 1) * BLOCKS || now.frees != now.allocs;
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 3 || !exhaust(argc - 2, argv + 2)) {
        fprintf(stderr, "the static TLS block is larger than we can fill\n");
        return 2;
    }
    return use(argv[1]);
}
