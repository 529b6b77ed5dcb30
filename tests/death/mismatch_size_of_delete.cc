/*
 * expect: CALLER_WRONG_SIZE 0x0000(\w{12}), 0x0{14}48, 0x0{14}18, .*pointer 0x\1, tag mism, page
 * verify: special=all guard=each
 * verify: watch
 * verify: harden
 */
#include <cstddef>

struct base {
    char bytes[24];
};
struct derived : base {
    char more[48];
};

/* Without a virtual destructor the size is that of the pointer's type. */
int main()
{
    derived *volatile block = static_cast<derived *>(new base);
    delete block;
    return 0;
}
