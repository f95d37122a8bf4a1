package refused.threads;

class X {
    synchronized void a() { //! @X.a()V synchronized is not part of Java Card
    }

    void b() {
        synchronized (this) { //! synchronized is not part of Java Card
            a();
        }
    }

    native void c(); //! @X.c()V native methods are not part of Java Card

    protected void finalize() { //! @X.finalize()V finalize is not called in Java Card
    }
}
