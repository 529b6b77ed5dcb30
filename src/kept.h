/*
 * Settings of the verifier that are kept for programs: $XDG_CONFIG_HOME/tagpool/settings, or
 * ~/.config/tagpool/settings.
 *
 *   # a comment
 *   sqlite3: special=all tags=Conn
 *   *: track
 *
 * A line is a pattern of the program's name, and words as in settings.h.  All lines that fit act together.  `tagpool`
 * writes the file, people may; a line that is not understood is passed over, and `tagpool` says which.
 */
#ifndef TP_KEPT_H
#define TP_KEPT_H

#include "settings.h"

/* What is beyond that is not read, and `tagpool` writes no more. */
#define TP_KEPT_SIZE ((size_t)16 << 10)

/* Read what is kept for this program, to what was read before.  False: nothing, or the file is not its user's. */
bool tp_kept_read(struct tp_settings *settings);

#endif
