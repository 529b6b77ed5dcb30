/* A list is freed by a loop that asks the node it has just freed for the next one. */
#include <stdlib.h>

struct node {
    struct node *next;
    int value;
};

static struct node *push(struct node *next, int value)
{
    struct node *node = malloc(sizeof(*node));
    node->next = next;
    node->value = value;
    return node;
}

static void free_list(struct node *node)
{
    for (; node != NULL; node = node->next)
        free(node);
}

int main(void)
{
    free_list(push(push(NULL, 1), 2));
    return 0;
}
