/** Characters that begin another line, steer a terminal or are no text: nobody is shown them as they are. */
export const UNSAFE = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u;
/** The same, for all of them in a text. */
export const EACH_UNSAFE = new RegExp(UNSAFE, "gu");
