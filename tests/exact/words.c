#include "words.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_GLIB
#include <glib.h>
#endif

enum { WORDS_MOST = 100000 };
static char *words_kept[WORDS_MOST];

int WORDS_NAME(strdup)(int count)
{
    for (int i = 0; i < count; i++)
        words_kept[i] = strdup("some word that is somewhat long");
    for (int i = 0; i < count; i += 2)
        free(words_kept[i]);
    return 0;
}

int WORDS_NAME(getline)(int count, FILE *lines)
{
    for (int i = 0; i < count; i++) {
        char *line = NULL;
        size_t size = 0;
        if (getline(&line, &size, lines) < 0)
            return 1;
        free(line);
    }
    return 0;
}

int WORDS_NAME(g_strdup)(int count)
{
#ifdef HAVE_GLIB
    for (int i = 0; i < count; i++)
        words_kept[i] = g_strdup("another word");
    for (int i = 0; i < count; i += 3)
        g_free(words_kept[i]);
#else
    (void)count;
#endif
    return 0;
}
