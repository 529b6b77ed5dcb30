#include "words.h"

#include <string>

static const int words_most = 100000;
static std::string *words_kept[words_most];

int WORDS_NAME(string)(int count)
{
    for (int i = 0; i < count; i++)
        words_kept[i] = new std::string(40 + static_cast<size_t>(i) % 200, 'x');
    for (int i = 0; i < count; i += 4)
        delete words_kept[i];
    return 0;
}
