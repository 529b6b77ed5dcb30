/*
 * expect: CALLER_WRONG_FACE 0x0000(\w{12}), 0x0{8}2057454E, 0x0{8}4C4C414D\).*pointer 0x\1, tag mism, page
 * verify: special=all guard=each
 * verify: watch
 * verify: harden
 */
#include <cstdlib>

struct alignas(64) Wide {
    char bytes[64];
};

int main()
{
    Wide *block = new Wide;
    std::free(block);
    return 0;
}
