#include "memory.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

void view_page_add(struct view_page *page, enum view_style style, char *text)
{
    page->lines = memory_grow(page->lines, page->count, sizeof(*page->lines));
    page->lines[page->count++] = (struct view_line){.style = style, .text = text};
}

void view_page_print(const struct view_page *page, FILE *out)
{
    for (size_t i = 0; i < page->count; i++)
        fprintf(out, "%s\n", page->lines[i].text);
}

void view_page_free(struct view_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->lines[i].text);
    free(page->lines);
    memset(page, 0, sizeof(*page));
}
