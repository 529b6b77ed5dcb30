/*
 * Nanoseconds of a hot free and malloc of two modules in one process: hot_pair MODULE MODULE [ROUNDS].
 *
 * Both lie side by side under the same load, clock speed and noise, and take turns; the medians are as close as two
 * measurements can be made.  Prints both and the median of the rounds' ratios, first over second.
 */
#include "bench.h"

#include <dlfcn.h>

#define PAIR_SIZE 64
#define PAIR_BLOCKS 256
#define PAIR_STEPS 100000

struct module {
    void *(*alloc)(size_t size);
    void (*free)(void *block);
    void *blocks[PAIR_BLOCKS];
    double *ns; /* a round each */
};

static void *module_symbol(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    if (symbol == NULL) {
        fprintf(stderr, "hot_pair: %s\n", dlerror());
        exit(1);
    }
    return symbol;
}

static void module_open(struct module *module, const char *path, size_t rounds)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "hot_pair: %s\n", dlerror());
        exit(1);
    }
    module->alloc = (void *(*)(size_t))(uintptr_t)module_symbol(library, "malloc");
    module->free = (void (*)(void *))(uintptr_t)module_symbol(library, "free");
    module->ns = bench_got(calloc(rounds, sizeof(*module->ns)));
    for (size_t i = 0; i < PAIR_BLOCKS; i++)
        module->blocks[i] = bench_got(module->alloc(PAIR_SIZE));
}

static double module_time(struct module *module)
{
    double started = bench_now();
    for (size_t i = 0; i < PAIR_STEPS; i++) {
        void **block = &module->blocks[i % PAIR_BLOCKS];
        module->free(*block);
        *block = module->alloc(PAIR_SIZE);
        *(char *)*block = 1;
    }
    return (bench_now() - started) * 1e9 / PAIR_STEPS;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

int main(int argc, char **argv)
{
    static struct module first, second;
    size_t rounds = argc > 3 ? strtoull(argv[3], NULL, 10) : 101;
    if (argc < 3 || rounds == 0) {
        fprintf(stderr, "usage: hot_pair MODULE MODULE [ROUNDS]\n");
        return 2;
    }
    double *ratios = bench_got(calloc(rounds, sizeof(*ratios)));
    module_open(&first, argv[1], rounds);
    module_open(&second, argv[2], rounds);
    for (size_t i = 0; i < rounds; i++) {
        /* Whoever comes second finds the clock warmer: take turns. */
        if (i % 2 == 0)
            first.ns[i] = module_time(&first);
        second.ns[i] = module_time(&second);
        if (i % 2 != 0)
            first.ns[i] = module_time(&first);
        ratios[i] = first.ns[i] / second.ns[i];
    }
    printf("first_ns %.3f\nsecond_ns %.3f\n", median(first.ns, rounds), median(second.ns, rounds));
    printf("ratio %.4f\n", median(ratios, rounds));
    return 0;
}
