/**
 * The ARA-M: the access rules of a secure element (GlobalPlatform Secure Element Access Control 1.1, "SEAC").
 *
 * <p>Everybody may read the rules; only the holder of the security domain's keys may change them, in a secure channel of
 * this applet or through the domain (INSTALL [for personalization]). Rules stand as they were sent, less unknown objects.
 *
 * <p>Language: the Java Card subset without {@code int}. Nothing is created after installation: the memory for rules is
 * taken then, and what a deleted rule had is used again.
 */
package jp.jpkise.ara;
