error-prefix = エラー:
yes-no = [y/N]
ok = OK
ng = NG
skipped = 省略

reader-line = { $index }  { $name }  { $card }
readers-none = リーダーがありません
card-none = カードなし
card-present = カードあり、ATR { $atr }
card-mute = 応答しないカード

sim-start = 模擬 GP-SE を起動します（{ $runtime }）。
sim-personalizing = JPKI アプレットを格納し、パーソナライズしています …
sim-personalized = { $ms } ミリ秒でパーソナライズしました。PIN { $pin }、パスワード { $password }（トークンラベル { $label }）。
sim-waiting = { $address } の仮想リーダーにカードを挿入しました。Ctrl-C で終了します。
sim-power-on = 電源オン
sim-power-off = 電源オフ
sim-reset = リセット
sim-reader-gone = 仮想リーダーとの接続が切れました。再接続します …
sim-stopped = 終了しました（APDU { $apdus } 件）。
