package jp.jpkise.sim;

import com.licel.jcardsim.base.TransientMemory;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javacard.framework.JCSystem;
import javacard.framework.SystemException;

/**
 * Transient memory that lets go of arrays nobody holds any more.
 *
 * <p>jCardSim makes a new transient array at every {@code Cipher.init} and keeps them all, so a card that signs a
 * million times would fill the heap and clear a million arrays at each deselection. References are therefore weak.
 * What applets themselves ask for is counted apart: after installation it must not grow.
 */
public final class CardMemory extends TransientMemory {
    private final List<WeakReference<Object>> deselect = new ArrayList<>();
    private final List<WeakReference<Object>> reset = new ArrayList<>();
    private int sweepAt = 64;
    private int appletArrays;
    private int appletBytes;

    /** @return how many transient arrays applets have asked for since the card was made */
    public int appletArrays() {
        return appletArrays;
    }

    /** @return how many bytes those arrays have, without what a card adds for each object */
    public int appletBytes() {
        return appletBytes;
    }

    @Override
    protected void storeArray(Object array, byte event) {
        List<WeakReference<Object>> list = list(event);
        if (list.size() >= sweepAt) {
            list.removeIf(reference -> reference.get() == null);
            sweepAt = Math.max(sweepAt, 2 * list.size());
        }
        list.add(new WeakReference<>(array));
        if (askedByApplet()) {
            appletArrays++;
            appletBytes += sizeOf(array);
        }
    }

    @Override
    public byte isTransient(Object object) {
        if (holds(deselect, object)) {
            return JCSystem.CLEAR_ON_DESELECT;
        }
        return holds(reset, object) ? JCSystem.CLEAR_ON_RESET : JCSystem.NOT_A_TRANSIENT_OBJECT;
    }

    @Override
    protected void clearOnDeselect() {
        clear(deselect);
    }

    @Override
    protected void clearOnReset() {
        clear(deselect);
        clear(reset);
    }

    @Override
    protected void forgetBuffers() {
        clearOnReset();
        deselect.clear();
        reset.clear();
    }

    private List<WeakReference<Object>> list(byte event) {
        if (event != JCSystem.CLEAR_ON_DESELECT && event != JCSystem.CLEAR_ON_RESET) {
            SystemException.throwIt(SystemException.ILLEGAL_VALUE);
        }
        return event == JCSystem.CLEAR_ON_DESELECT ? deselect : reset;
    }

    private static boolean holds(List<WeakReference<Object>> list, Object object) {
        return list.stream().anyMatch(reference -> reference.get() == object);
    }

    private static void clear(List<WeakReference<Object>> list) {
        for (WeakReference<Object> reference : list) {
            Object array = reference.get();
            if (array instanceof byte[] bytes) {
                Arrays.fill(bytes, (byte) 0);
            } else if (array instanceof short[] shorts) {
                Arrays.fill(shorts, (short) 0);
            } else if (array instanceof boolean[] booleans) {
                Arrays.fill(booleans, false);
            } else if (array instanceof Object[] objects) {
                Arrays.fill(objects, null);
            }
        }
    }

    private static int sizeOf(Object array) {
        if (array instanceof byte[] bytes) {
            return bytes.length;
        }
        if (array instanceof boolean[] booleans) {
            return booleans.length;
        }
        return array instanceof short[] shorts ? 2 * shorts.length : 2 * ((Object[]) array).length;
    }

    /** The first caller that is not part of the API decides: an applet, or jCardSim for itself. */
    private static boolean askedByApplet() {
        String caller = StackWalker.getInstance()
                .walk(frames -> frames.map(StackWalker.StackFrame::getClassName)
                        .filter(name -> !name.equals(CardMemory.class.getName())
                                && !name.equals(TransientMemory.class.getName())
                                && !name.startsWith("javacard."))
                        .findFirst())
                .orElse("");
        return !caller.startsWith("com.licel.");
    }
}
