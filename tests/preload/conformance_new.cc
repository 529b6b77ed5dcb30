/*
 * Every form of operator new and delete, the new handler, and what is thrown when memory is exhausted.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

static int failures;

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            std::fprintf(stderr, "FAILED line %d: %s\n", __LINE__, #cond);                                             \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static volatile std::size_t impossible = static_cast<std::size_t>(1) << 62;
static int handler_calls;

/* What is not used may be left out by the compiler. */
static void *volatile result;

struct from_handler {
};

static void count_and_give_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

static void throw_own()
{
    throw from_handler();
}

static void use(void *block, std::size_t size, std::size_t alignment)
{
    CHECK(block != nullptr && reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
    std::memset(block, 1, size);
}

static void test_forms(std::size_t size, std::align_val_t alignment)
{
    const std::size_t plain = 16, wide = static_cast<std::size_t>(alignment);
    void *block;
    use(block = ::operator new(size), size, plain), ::operator delete(block);
    use(block = ::operator new(size), size, plain), ::operator delete(block, size);
    use(block = ::operator new[](size), size, plain), ::operator delete[](block);
    use(block = ::operator new[](size), size, plain), ::operator delete[](block, size);
    use(block = ::operator new(size, std::nothrow), size, plain), ::operator delete(block, std::nothrow);
    use(block = ::operator new[](size, std::nothrow), size, plain), ::operator delete[](block, std::nothrow);
    use(block = ::operator new(size, alignment), size, wide), ::operator delete(block, alignment);
    use(block = ::operator new(size, alignment), size, wide), ::operator delete(block, size, alignment);
    use(block = ::operator new[](size, alignment), size, wide), ::operator delete[](block, alignment);
    use(block = ::operator new[](size, alignment), size, wide), ::operator delete[](block, size, alignment);
    use(block = ::operator new(size, alignment, std::nothrow), size, wide);
    ::operator delete(block, alignment, std::nothrow);
    use(block = ::operator new[](size, alignment, std::nothrow), size, wide);
    ::operator delete[](block, alignment, std::nothrow);
    ::operator delete(nullptr);
    ::operator delete[](nullptr, size);
}

template <typename Call> static bool throws_bad_alloc(Call call)
{
    try {
        call();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void test_exhausted()
{
    const std::align_val_t wide{64};
    CHECK(throws_bad_alloc([] { result = ::operator new(impossible); }));
    CHECK(throws_bad_alloc([] { result = ::operator new[](impossible); }));
    CHECK(throws_bad_alloc([=] { result = ::operator new(impossible, wide); }));
    CHECK(throws_bad_alloc([=] { result = ::operator new[](impossible, wide); }));
    CHECK(::operator new(impossible, std::nothrow) == nullptr);
    CHECK(::operator new[](impossible, std::nothrow) == nullptr);
    CHECK(::operator new(impossible, wide, std::nothrow) == nullptr);
    CHECK(::operator new[](impossible, wide, std::nothrow) == nullptr);
}

static void test_handler()
{
    std::set_new_handler(count_and_give_up);
    CHECK(throws_bad_alloc([] { result = ::operator new(impossible); }));
    CHECK(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(count_and_give_up);
    CHECK(::operator new(impossible, std::nothrow) == nullptr);
    CHECK(handler_calls == 3);
    bool caught = false;
    std::set_new_handler(throw_own);
    try {
        result = ::operator new(impossible);
    } catch (const from_handler &) {
        caught = true;
    }
    CHECK(caught);
    std::set_new_handler(nullptr);
}

/* [new.delete.single]: a nothrow form gives null where the handler throws bad_alloc. */
static void throw_bad_alloc()
{
    throw std::bad_alloc();
}

static void test_handler_of_nothrow()
{
    std::set_new_handler(throw_bad_alloc);
    bool threw = throws_bad_alloc([] { CHECK(::operator new(impossible, std::nothrow) == nullptr); });
    CHECK(!threw);
    std::set_new_handler(nullptr);
}

int main(int argc, char **argv)
{
    if (argc == 2 && std::strcmp(argv[1], "nothrow") == 0) {
        test_handler_of_nothrow();
        return failures != 0;
    }
    static const std::size_t sizes[] = {0, 1, 16, 100, 5000, 200000};
    for (std::size_t size : sizes)
        for (std::size_t alignment = 8; alignment <= 8192; alignment *= 4)
            test_forms(size, std::align_val_t{alignment});
    test_exhausted();
    test_handler();
    return failures != 0;
}
