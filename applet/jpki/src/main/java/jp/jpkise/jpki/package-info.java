/**
 * The JPKI applet for a phone's secure element.
 *
 * <p>Two keys (user authentication, signature) with their certificates and secrets, read and used with the card edge of
 * the deployed JPKI application, and issued over the secure channel of the security domain the instance belongs to.
 *
 * <p>Language: the Java Card subset without {@code int}. Every intermediate value that could leave 16 bits is cast
 * before it is compared, used as an index or divided. Nothing is created after installation.
 */
package jp.jpkise.jpki;
