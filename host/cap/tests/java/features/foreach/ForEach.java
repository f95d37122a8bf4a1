package foreach;

/** javac counts in an int here; its values fit a short. */
class ForEach {
    static short sum(byte[] data) {
        short sum = 0;
        for (byte b : data) {
            sum += b;
        }
        return sum;
    }

    static Object last(Object[] all) {
        Object found = null;
        for (Object o : all) {
            found = o;
        }
        return found;
    }
}
