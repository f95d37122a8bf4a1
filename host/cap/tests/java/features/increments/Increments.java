package increments;

/** sinc and sinc_w wherever they are shorter. */
class Increments {
    static short all(short a, byte b) {
        short x = a;
        x++;
        x += 100;
        x -= 3;
        x += 1000;
        x = (short) (5 + x);
        b++;
        short y = x++;
        short z = --x;
        x = (short) (x + x);
        return (short) (x + y + z + b);
    }

    static short bounded(byte[] a) {
        short sum = 0;
        for (byte i = 0; i < 10; i++) {
            sum += a[i];
        }
        return sum;
    }
}
