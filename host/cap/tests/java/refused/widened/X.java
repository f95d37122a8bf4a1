package refused.widened;

class X {
    void a() {
    }

    static class Y extends X {
        public void a() { //! @X$Y a()V is package-visible in a superclass and cannot become public or protected
        }
    }
}
