package jp.jpkise.jpki;

import com.licel.jcardsim.base.SimulatorRuntime;
import java.lang.reflect.Field;
import javacard.framework.AID;

/** Looks into the applet where no command can: for what a tear leaves, and for what must not be left. */
final class Inside {
    private Inside() {
    }

    static JpkiApplet applet(TestCard card) {
        AID aid = new AID(TestCard.AID, (short) 0, (byte) TestCard.AID.length);
        SimulatorRuntime.ApplicationInstance instance = card.runtime.lookupApplet(aid);
        return (JpkiApplet) instance.getApplet();
    }

    static Object field(TestCard card, String name) throws ReflectiveOperationException {
        return get(applet(card), name);
    }

    static JpkiKey key(TestCard card, int key) throws ReflectiveOperationException {
        Files files = (Files) field(card, "files");
        return key == TestCard.AUTH ? files.auth : files.sign;
    }

    static Object get(Object owner, String name) throws ReflectiveOperationException {
        Field field = owner.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.get(owner);
    }

    static void set(Object owner, String name, Object value) throws ReflectiveOperationException {
        Field field = owner.getClass().getDeclaredField(name);
        field.setAccessible(true);
        field.set(owner, value);
    }
}
