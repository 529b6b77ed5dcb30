/*
 * expect: CALLER_WRONG_FACE 0x0000(\w{12}), 0x0{8}5B57454E, 0x0{8}4C4C414D\).*pointer 0x\1, tag mism, page
 * verify: special=all guard=each
 * verify: watch
 * verify: harden
 */
#include <cstdlib>

int main()
{
    int *block = new int[10];
    std::free(block);
    return 0;
}
