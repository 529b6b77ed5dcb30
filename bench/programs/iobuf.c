/*
 * A file read and written with O_DIRECT, one request after the other, from four kinds of memory: iobuf FILE MIB ROUNDS.
 *
 *   plain       io_uring, one page-aligned buffer that is not registered
 *   pread       pread and pwrite, the same buffer
 *   registered  buffers of a Tagpool pool
 *   mapped      io_uring, memory that is mapped for each request and unmapped after it
 *
 * Requests, pieces and their order are the same for all, and so is what is done with the bytes: a word of each OS page
 * is read, or written.  The forms take turns at each 32 MiB; the file was written before.  A second thread computes all
 * the time: only processors that run a thread of the process are told when memory is unmapped.  Its time is not
 * counted.
 *
 * Prints a line for each round, form and way: form, read or write, seconds, CPU seconds, I/O calls, page faults, TLB
 * shootdowns.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <tagpool.h>
#include <unistd.h>

#define OS_PAGE 4096

/* A request fills the queue; its buffers stay far below the usual limit of 8 MiB of locked memory. */
enum { PIECE = 65536, DEPTH = 16, REQUEST = PIECE * DEPTH, PART = 32 * REQUEST };

static int file;
static uint64_t file_size;
static struct io_uring ring;
static char *plain_memory;
static tagpool_iobuf_t *pool;
static struct iovec pieces[DEPTH];
static uint64_t calls;

static void fail(const char *what, int error)
{
    fprintf(stderr, "iobuf: %s: %s\n", what, strerror(error));
    exit(1);
}

static void must_be_whole(int64_t result)
{
    if (result != REQUEST)
        fail("request", result < 0 ? (int)-result : EIO);
}

/* --- the forms ------------------------------------------------------------------------------------------------ */

struct form {
    const char *name;
    void (*take)(void); /* memory for one request, as pieces */
    void (*run)(uint64_t offset, bool is_write);
    void (*give)(void);
};

static void cut(char *memory)
{
    for (int i = 0; i < DEPTH; i++)
        pieces[i] = (struct iovec){memory + i * PIECE, PIECE};
}

static void plain_take(void)
{
    cut(plain_memory);
}

static void mapped_take(void)
{
    void *memory = mmap(NULL, REQUEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap", errno);
    cut(memory);
}

static void mapped_give(void)
{
    munmap(pieces[0].iov_base, REQUEST);
}

static void registered_take(void)
{
    tagpool_iobuf_list_t list = {.pieces = pieces, .room = DEPTH};
    if (tagpool_iobuf_get_list(pool, REQUEST, &list) != 0)
        fail("buffers", errno);
}

static void registered_give(void)
{
    tagpool_iobuf_list_t list = {.pieces = pieces, .room = DEPTH, .count = DEPTH};
    tagpool_iobuf_put_list(pool, &list);
}

static void nothing(void)
{
}

static int64_t ring_reap(void)
{
    struct io_uring_cqe *entry;
    unsigned head;
    unsigned count = 0;
    int64_t done = 0;
    io_uring_for_each_cqe(&ring, head, entry)
    {
        if (entry->res != PIECE)
            fail("piece", entry->res < 0 ? -entry->res : EIO);
        done += entry->res;
        count++;
    }
    io_uring_cq_advance(&ring, count);
    return done;
}

static void ring_run(uint64_t offset, bool is_write)
{
    int64_t done = 0;
    for (int i = 0; i < DEPTH; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
        io_uring_prep_rw(is_write ? IORING_OP_WRITE : IORING_OP_READ, entry, file, pieces[i].iov_base, PIECE,
                         offset + (uint64_t)i * PIECE);
    }
    for (; done < REQUEST; done += ring_reap(), calls++)
        io_uring_submit_and_wait(&ring, (unsigned)((REQUEST - done) / PIECE));
    must_be_whole(done);
}

static void pread_run(uint64_t offset, bool is_write)
{
    void *memory = pieces[0].iov_base;
    calls++;
    must_be_whole(is_write ? pwrite(file, memory, REQUEST, (off_t)offset)
                           : pread(file, memory, REQUEST, (off_t)offset));
}

static void registered_run(uint64_t offset, bool is_write)
{
    const tagpool_iobuf_list_t list = {.pieces = pieces, .room = DEPTH, .count = DEPTH};
    must_be_whole(is_write ? tagpool_iobuf_write_list(pool, file, &list, offset)
                           : tagpool_iobuf_read_list(pool, file, &list, offset));
}

static const struct form forms[] = {
    {"plain", plain_take, ring_run, nothing},
    {"registered", registered_take, registered_run, registered_give},
    {"mapped", mapped_take, ring_run, mapped_give},
    {"pread", plain_take, pread_run, nothing},
};
enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

/* --- what is measured ----------------------------------------------------------------------------------------- */

struct reading {
    double seconds;
    double cpu;
    uint64_t calls;
    uint64_t faults;
    uint64_t shootdowns;
};

static pthread_t companion;
static bool enough;

static void *compute(void *unused)
{
    static volatile uint64_t words[512];
    (void)unused;
    for (uint64_t sum = 1; !__atomic_load_n(&enough, __ATOMIC_RELAXED);)
        for (int i = 0; i < 512; i++)
            words[i] = sum += words[i];
    return NULL;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of this process, with the kernel's threads that work for its ring, but not of the thread that only keeps it busy. */
static double cpu_seconds(void)
{
    clockid_t of_companion;
    pthread_getcpuclockid(companion, &of_companion);
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - clock_seconds(of_companion);
}

/* Of the whole machine; 0 where the system does not count them. */
static uint64_t shootdowns_now(void)
{
    char line[4096];
    uint64_t sum = 0;
    FILE *interrupts = fopen("/proc/interrupts", "r");
    while (interrupts != NULL && fgets(line, sizeof(line), interrupts) != NULL) {
        char *at = strstr(line, "TLB:");
        if (at == NULL)
            continue;
        char *end = at + 4;
        do {
            at = end;
            sum += strtoull(at, &end, 10);
        } while (end != at);
    }
    if (interrupts != NULL)
        fclose(interrupts);
    return sum;
}

static uint64_t calls_now(void)
{
    tagpool_iobuf_stats_t stats;
    tagpool_iobuf_stats(pool, &stats);
    return calls + stats.calls;
}

static struct reading read_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct reading){
        .seconds = bench_now(),
        .cpu = cpu_seconds(),
        .calls = calls_now(),
        .faults = (uint64_t)(usage.ru_minflt + usage.ru_majflt),
        .shootdowns = shootdowns_now(),
    };
}

/* --- passes --------------------------------------------------------------------------------------------------- */

static void touch(bool is_write)
{
    static volatile uint64_t sum;
    for (int i = 0; i < DEPTH; i++)
        for (size_t at = 0; at < PIECE; at += OS_PAGE) {
            volatile uint64_t *word = (uint64_t *)((char *)pieces[i].iov_base + at);
            if (is_write)
                *word = sum + at;
            else
                sum += *word;
        }
}

static void pass(const struct form *form, bool is_write, uint64_t from, uint64_t to)
{
    for (uint64_t offset = from; offset < to; offset += REQUEST) {
        form->take();
        if (is_write)
            touch(true);
        form->run(offset, is_write);
        if (!is_write)
            touch(false);
        form->give();
    }
}

/* What a form took in this round: reading, writing. */
static struct reading taken[FORMS][2];

static void measure(int form, bool is_write, uint64_t from, uint64_t to)
{
    struct reading *sum = &taken[form][is_write];
    struct reading before = read_now();
    pass(&forms[form], is_write, from, to);
    struct reading after = read_now();
    sum->seconds += after.seconds - before.seconds;
    sum->cpu += after.cpu - before.cpu;
    sum->calls += after.calls - before.calls;
    sum->faults += after.faults - before.faults;
    sum->shootdowns += after.shootdowns - before.shootdowns;
}

/* Devices have good and bad seconds: the forms take turns at each part of the file, and at being first. */
static void run_round(uint64_t round)
{
    memset(taken, 0, sizeof(taken));
    for (uint64_t from = 0, part = 0; from < file_size; from += PART, part++)
        for (int i = 0; i < FORMS; i++) {
            int form = (int)((i + part + round) % FORMS);
            uint64_t to = from + PART < file_size ? from + PART : file_size;
            measure(form, false, from, to);
            measure(form, true, from, to);
        }
    for (int i = 0; i < 2 * FORMS; i++) {
        const struct reading *sum = &taken[i / 2][i % 2];
        printf("%s %s %.6f %.6f %llu %llu %llu\n", forms[i / 2].name, i % 2 != 0 ? "write" : "read", sum->seconds,
               sum->cpu, (unsigned long long)sum->calls, (unsigned long long)sum->faults,
               (unsigned long long)sum->shootdowns);
    }
    fflush(stdout);
}

static void open_all(const char *path)
{
    const tagpool_iobuf_options_t options = {
        .tag = TAGPOOL_TAG('B', 'n', 'c', 'h'), .buffer_size = PIECE, .count = DEPTH};
    tagpool_iobuf_stats_t stats;
    file = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
    if (file < 0)
        fail(path, errno);
    int error = posix_fallocate(file, 0, (off_t)file_size);
    if (error != 0)
        fail("space for the file", error);
    pool = tagpool_iobuf_create(&options);
    if (pool == NULL)
        fail("pool", errno);
    tagpool_iobuf_stats(pool, &stats);
    error = stats.uring_error != 0 ? stats.uring_error : -io_uring_queue_init(DEPTH, &ring, 0);
    if (error != 0)
        fail("io_uring", error);
    if (posix_memalign((void **)&plain_memory, OS_PAGE, REQUEST) != 0)
        fail("memory", ENOMEM);
    pthread_create(&companion, NULL, compute, NULL);
}

int main(int argc, char **argv)
{
    uint64_t mib = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t rounds = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    if (mib == 0 || rounds == 0) {
        fprintf(stderr, "usage: iobuf FILE MIB ROUNDS\n");
        return 2;
    }
    file_size = mib << 20;
    open_all(argv[1]);
    for (int i = 0; i < FORMS; i++)
        pass(&forms[i], true, 0, file_size); /* the file's blocks are there, and each form has been everywhere */
    for (uint64_t round = 0; round < rounds; round++)
        run_round(round);
    __atomic_store_n(&enough, true, __ATOMIC_RELAXED);
    pthread_join(companion, NULL);
    return 0;
}
