/*
 * tagpool-verifier(7) from its text and the table of rules: copies the page, and puts the stops where a line says
 * @STOPS@.
 *
 *   stops PAGE.in >PAGE
 */
#include <stdio.h>
#include <string.h>
#include <tagpool/rules.h>

struct stop_rule {
    unsigned code;
    const char *parameters[4], *sentence, *advice;
};

#define X(name, code) STOP_##name = (code),
enum stop_code { TAGPOOL_STOP_CODES(X) };
#undef X

static const struct {
    unsigned code;
    const char *name;
} stop_codes[] = {
#define X(name, code) {code, #name},
    TAGPOOL_STOP_CODES(X)
#undef X
};

static const struct stop_rule stop_rules[] = {
#define X(name, code, at, constant, p1, p2, p3, p4, sentence, advice) {STOP_##code, {p1, p2, p3, p4}, sentence, advice},
    TAGPOOL_RULES(X)
#undef X
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As text of a page: nothing in it is roff's. */
static void stop_print_text(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text != '\0'; text++)
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '"')
            fputs("\\(dq", stdout);
        else
            putchar(*text);
}

/* Quoted, so that no word of the sentence is taken for a macro. */
static void stop_print_rule(const struct stop_rule *rule)
{
    fputs(".It \"", stdout);
    stop_print_text(rule->sentence);
    puts(".\"\n.Bl -tag -width \"parameter 4\" -compact");
    for (int i = 0; i < 4; i++) {
        printf(".It parameter %d\n", i + 1);
        stop_print_text(rule->parameters[i]);
        putchar('\n');
    }
    puts(".El\n.Pp");
    stop_print_text(rule->advice);
    putchar('\n');
}

/* A code without a rule is none that a program can end with. */
static void stop_print_code(unsigned code, const char *name)
{
    int is_open = 0;
    for (size_t i = 0; i < COUNT(stop_rules); i++) {
        if (stop_rules[i].code != code)
            continue;
        if (!is_open)
            printf(".Ss 0x%X %s\n.Bl -tag -width Ds\n", code, name);
        is_open = 1;
        stop_print_rule(&stop_rules[i]);
    }
    if (is_open)
        puts(".El");
}

int main(int argc, char **argv)
{
    char line[1024];
    FILE *page = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (page == NULL)
        return 2;
    while (fgets(line, sizeof(line), page) != NULL) {
        if (strcmp(line, "@STOPS@\n") != 0)
            fputs(line, stdout);
        else
            for (size_t i = 0; i < COUNT(stop_codes); i++)
                stop_print_code(stop_codes[i].code, stop_codes[i].name);
    }
    return ferror(page) != 0 || fclose(page) != 0 || fflush(stdout) != 0;
}
