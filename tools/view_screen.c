/*
 * The live screen: a page of lines painted by ncurses, which sends to the terminal only what changed.
 *
 *   title and column names of the process at the top stay while its rows scroll
 *   ...
 *   3 processes  by live bytes  every 1.0 s                                   h help  q quit
 */
#include "label.h"
#include "memory.h"
#include "report.h"
#include "top.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SCREEN_ESCAPE = 27, SCREEN_CTRL_L = 12, SCREEN_ESCAPE_DELAY_MS = 25 };

struct screen {
    const struct top_options *options;
    struct view_options view;
    struct snapshot *snapshot;
    struct host host;
    struct view_page page;
    size_t first_line; /* of the page, at the top of the screen */
    unsigned long refreshes;
    int error;
    bool is_help;
    bool is_due; /* refresh now, whatever the time */
    bool is_over;
};

/* Set by a signal that ends us; the terminal is put right before it takes effect. */
static volatile sig_atomic_t screen_signal;

static void screen_on_signal(int number)
{
    screen_signal = number;
}

/* ---- keys ---- */

struct screen_key {
    int key;
    void (*act)(struct screen *screen, int key);
    const char *usage; /* NULL: a second name of the key above */
    const char *help;
};

static int screen_rows(void)
{
    return LINES > 1 ? LINES - 1 : 1; /* the last one is the status line */
}

static void screen_quit(struct screen *screen, int key)
{
    if (key == SCREEN_ESCAPE && screen->is_help)
        screen->is_help = false;
    else
        screen->is_over = true;
}

static void screen_toggle_help(struct screen *screen, int key)
{
    (void)key;
    screen->is_help = !screen->is_help;
}

static void screen_toggle_layout(struct screen *screen, int key)
{
    (void)key;
    screen->view.layout = screen->view.layout == LAYOUT_CLASSIC ? LAYOUT_DEFAULT : LAYOUT_CLASSIC;
}

static void screen_next_kind(struct screen *screen, int key)
{
    (void)key;
    screen->view.selection.kind = (enum selection_kind)((screen->view.selection.kind + 1) % KIND_COUNT);
}

static void screen_toggle_change(struct screen *screen, int key)
{
    (void)key;
    screen->view.selection.by_change = !screen->view.selection.by_change;
}

static void screen_toggle_totals(struct screen *screen, int key)
{
    (void)key;
    screen->view.totals = !screen->view.totals;
}

static void screen_toggle_highlight(struct screen *screen, int key)
{
    (void)key;
    screen->view.no_highlight = !screen->view.no_highlight;
}

static void screen_ask_refresh(struct screen *screen, int key)
{
    if (key == SCREEN_CTRL_L)
        clearok(curscr, TRUE); /* also what another program has spoilt */
    screen->is_due = true;
}

/* Painting puts it back to where the page ends. */
static void screen_scroll(struct screen *screen, int key)
{
    const size_t page = (size_t)screen_rows();
    const struct {
        int key;
        size_t up, down;
    } steps[] = {
        {KEY_UP, 1, 0},     {KEY_DOWN, 0, 1},           {KEY_PPAGE, page, 0},
        {KEY_NPAGE, 0, page}, {KEY_HOME, SIZE_MAX, 0}, {KEY_END, 0, screen->page.count},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].key != key)
            continue;
        screen->first_line -= steps[i].up < screen->first_line ? steps[i].up : screen->first_line;
        screen->first_line += steps[i].down;
    }
}

static const struct screen_key screen_keys[] = {
    {'w', screen_toggle_layout, "w", "other layout: default or PoolMon's"},
    {'p', screen_next_kind, "p", "nonpaged pool, paged pool, both"},
    {'(', screen_toggle_change, "( )", "sort by what changed, or by what is"},
    {')', screen_toggle_change, NULL, NULL},
    {'e', screen_toggle_totals, "e", "totals"},
    {'l', screen_toggle_highlight, "l", "highlight lines that changed"},
    {KEY_UP, screen_scroll, "arrows", "scroll; also PgUp PgDn Home End"},
    {KEY_DOWN, screen_scroll, NULL, NULL},
    {KEY_PPAGE, screen_scroll, NULL, NULL},
    {KEY_NPAGE, screen_scroll, NULL, NULL},
    {KEY_HOME, screen_scroll, NULL, NULL},
    {KEY_END, screen_scroll, NULL, NULL},
    {' ', screen_ask_refresh, "space", "refresh now; Ctrl-L also paints everything anew"},
    {SCREEN_CTRL_L, screen_ask_refresh, NULL, NULL},
    {'h', screen_toggle_help, "h ?", "this help"},
    {'?', screen_toggle_help, NULL, NULL},
    {'q', screen_quit, "q Esc", "quit"},
    {SCREEN_ESCAPE, screen_quit, NULL, NULL},
};
enum { SCREEN_KEYS = sizeof(screen_keys) / sizeof(screen_keys[0]) };

static void screen_press(struct screen *screen, int key)
{
    const struct selection_order *order = key > 0 && key < 128 ? selection_find_order((char)key) : NULL;
    if (order != NULL)
        screen->view.selection.sort = order->sort;
    for (size_t i = 0; i < SCREEN_KEYS; i++)
        if (screen_keys[i].key == key)
            screen_keys[i].act(screen, key);
}

/* ---- painting ---- */

static const attr_t screen_attributes[] = {
    [VIEW_PLAIN] = A_NORMAL,
    [VIEW_TITLE] = A_BOLD,
    [VIEW_HEAD] = A_REVERSE,
    [VIEW_CHANGED] = A_BOLD,
};

/* One row of the screen, filled up to its right end. */
static void screen_paint_row(int row, const char *text, attr_t attribute)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    if (out == NULL)
        return;
    label_put(out, text, (size_t)COLS);
    fclose(out);
    attrset(attribute);
    mvaddstr(row, 0, line); /* writing the last cell says ERR, for the cursor cannot go on: no matter */
    attrset(A_NORMAL);
    free(line);
}

static void screen_paint_line(int row, const struct view_line *line)
{
    screen_paint_row(row, line->text, screen_attributes[line->style]);
}

/* Title and column names of the process at the top stay in the first two rows, over the lines that are there. */
static void screen_paint_pinned(const struct screen *screen)
{
    static const enum view_style styles[] = {VIEW_TITLE, VIEW_HEAD};
    const struct view_page *page = &screen->page;
    for (size_t row = 0; row < sizeof(styles) / sizeof(styles[0]); row++) {
        size_t i = screen->first_line + row + 1;
        while (i-- > 0)
            if (page->lines[i].style == styles[row])
                break;
        if (i == SIZE_MAX)
            return;
        screen_paint_line((int)row, &page->lines[i]);
    }
}

static void screen_paint_page(struct screen *screen)
{
    size_t rows = (size_t)screen_rows();
    size_t last = screen->page.count > rows ? screen->page.count - rows : 0;
    if (screen->first_line > last)
        screen->first_line = last;
    for (size_t row = 0; row < rows && screen->first_line + row < screen->page.count; row++)
        screen_paint_line((int)row, &screen->page.lines[screen->first_line + row]);
    screen_paint_pinned(screen);
}

static const char *screen_order_name(const struct screen *screen)
{
    enum selection_sort sort = screen->view.selection.sort;
    if (sort == SORT_DEFAULT)
        sort = screen->view.layout == LAYOUT_CLASSIC ? SORT_TAG : SORT_BYTES;
    for (size_t i = 0; i < selection_order_count; i++)
        if (selection_orders[i].sort == sort)
            return selection_orders[i].name;
    return "";
}

static void screen_paint_status(const struct screen *screen)
{
    static const char *const kinds[] = {[KIND_BOTH] = "", [KIND_NONPAGED] = "  nonpaged only",
                                        [KIND_PAGED] = "  paged only"};
    static const char keys[] = "h help  q quit ";
    size_t count = screen->snapshot->count;
    char *text = memory_format(" %zu process%s  by %s%s%s  every %.1f s", count, count == 1 ? "" : "es",
                               screen->view.selection.by_change ? "change of " : "", screen_order_name(screen),
                               kinds[screen->view.selection.kind], screen->options->delay_ms / 1000.0);
    screen_paint_row(LINES - 1, text, A_REVERSE);
    if (strlen(text) + sizeof(keys) < (size_t)COLS) {
        attrset(A_REVERSE);
        mvaddstr(LINES - 1, COLS - (int)sizeof(keys), keys);
        attrset(A_NORMAL);
    }
    free(text);
}

static void screen_paint_help(void)
{
    int row = 0;
    screen_paint_row(row++, "tagpool top: keys", A_BOLD);
    for (size_t i = 0; i < selection_order_count; i++)
        mvprintw(++row, 2, "%-8c sort by %s", selection_orders[i].letter, selection_orders[i].name);
    for (size_t i = 0; i < SCREEN_KEYS; i++)
        if (screen_keys[i].usage != NULL)
            mvprintw(++row, 2, "%-8s %s", screen_keys[i].usage, screen_keys[i].help);
    mvprintw(row + 2, 2, "%s", "LIVE bytes in blocks, % share of all tags, +/s growth, PEAK highest LIVE seen");
}

static void screen_paint_empty(const struct screen *screen)
{
    if (screen->error != 0)
        mvprintw(1, 1, "The directory of segments cannot be read: %s", strerror(screen->error));
    else if (screen->options->pid != 0)
        mvprintw(1, 1, "Process %d has ended.", (int)screen->options->pid);
    else
        mvaddstr(1, 1, "No process of yours runs under tagpool: start one by 'tagpool run PROGRAM'.");
}

static void screen_paint(struct screen *screen)
{
    screen->view.columns = (size_t)COLS;
    view_page_free(&screen->page);
    view_table(&screen->page, screen->snapshot, &screen->host, &screen->view);
    erase();
    if (screen->is_help)
        screen_paint_help();
    else if (screen->page.count == 0)
        screen_paint_empty(screen);
    else
        screen_paint_page(screen);
    screen_paint_status(screen);
    refresh();
}

/* ---- time and input ---- */

static uint64_t screen_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void screen_refresh(struct screen *screen)
{
    struct snapshot next;
    screen->error = -snapshot_take(&next, screen->snapshot, screen->options->pid);
    snapshot_free(screen->snapshot);
    *screen->snapshot = next;
    host_read(&screen->host);
    screen->is_due = false;
    screen->refreshes++;
}

/* Wait for keys until the time comes; a terminal that is gone ends it. */
static void screen_wait(struct screen *screen, uint64_t until_ms)
{
    uint64_t now = screen_now_ms();
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = now < until_ms ? poll(&input, 1, (int)(until_ms - now)) : 0;
    if (ready > 0 && (input.revents & POLLIN) == 0)
        screen->is_over = true;
    if (ready < 0 && errno != EINTR)
        screen->is_over = true;
    /* Also without input: a resize, which interrupts poll, comes as a key. */
    int keys = 0;
    for (int key; (key = getch()) != ERR; keys++)
        screen_press(screen, key);
    if (ready > 0 && keys == 0) /* readable, yet nothing there: the end of input */
        screen->is_over = true;
}

static void screen_loop(struct screen *screen)
{
    uint64_t due = screen_now_ms() + screen->options->delay_ms;
    while (!screen->is_over && screen_signal == 0) {
        screen_paint(screen);
        screen_wait(screen, due);
        if (!screen->is_due && screen_now_ms() < due)
            continue;
        if (screen->options->count != 0 && screen->refreshes >= screen->options->count)
            return;
        screen_refresh(screen);
        due = screen_now_ms() + screen->options->delay_ms;
    }
}

/* ---- the terminal ---- */

static void screen_close(void)
{
    if (!isendwin())
        endwin();
}

static int screen_open(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = screen_on_signal}; /* no SA_RESTART: poll has to end */
    if (newterm(NULL, stdout, stdin) == NULL)
        return -1;
    atexit(screen_close);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        sigaction(ending[i], &action, NULL);
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(SCREEN_ESCAPE_DELAY_MS);
    return 0;
}

int screen_run(const struct top_options *options, struct snapshot *first)
{
    struct screen screen = {.options = options, .view = options->view, .snapshot = first, .refreshes = 1};
    if (screen_open() != 0) {
        const char *term = getenv("TERM");
        report("the terminal '%s' is not known here: set TERM, or say 'tagpool top --once'.",
               term != NULL ? term : "");
        return STATUS_FAILED;
    }
    host_read(&screen.host);
    screen_loop(&screen);
    screen_close();
    view_page_free(&screen.page);
    if (screen_signal != 0) {
        /* Now end as if we had never caught it, so that whoever started us sees the truth. */
        signal(screen_signal, SIG_DFL);
        raise(screen_signal);
    }
    return STATUS_OK;
}
