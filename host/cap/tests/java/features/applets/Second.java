package applets;

/** An applet below another one. */
public class Second extends First {
    public static void install(byte[] parameters, short offset, byte length) {
        new Second().register();
    }
}
