error-prefix = エラー:
yes-no = [y/N]
ok = OK
ng = NG

reader-line = { $index }  { $name }  { $card }
card-none = カードなし
card-present = カードあり、ATR { $atr }
card-mute = 応答しないカード

sim-start = 模擬 GP-SE を起動しました（{ $runtime }）。
sim-personalizing = JPKI アプレットを格納し、パーソナライズしています …
sim-personalized = { $ms } ミリ秒でパーソナライズしました。PIN { $pin }、パスワード { $password }（トークンラベル { $label }）。
sim-offering = { $address } の仮想リーダーにカードを挿入しています …
sim-waiting = { $address } の仮想リーダーにカードを挿入しました。Ctrl-C で終了します。
sim-ignored = { $address } の仮想リーダーには別のカードが入っています。空くまで待ちます。二つ目のリーダーは次のポートで待ち受けています（--vpcd で指定）。
sim-overlooked = { $address } の仮想リーダーが前のカードの抜き取りを検知していないため、いったん抜いて挿入し直します …
sim-reader-gone = 仮想リーダーとの接続が切れました。再接続します …
sim-left = --leave-after の指定どおり、カードをリーダーから抜きました。
sim-stopped = 終了しました（APDU { $apdus } 件）。

usage-invalid-value = { $argument } に「{ $value }」は指定できません
usage-missing-value = { $argument } の値がありません
usage-unknown-argument = 不明な引数です: { $argument }
usage-unknown-command = 不明なコマンドです: { $argument }
usage-missing-argument = 引数が足りません: { $argument }
usage-missing-command = コマンドを指定してください
usage-conflict = { $argument } はここでは使えません
usage-suggested = もしかして: { $values }
usage-valid = 指定できるもの: { $values }
usage-help = --help でコマンドとオプションを一覧できます
cap-built = { $path }: 格納 { $bytes } バイト、アプレット { $applets } 個
cap-applet = アプレット { $class }: { $aid }
cap-accepted = 検証に合格しました（警告 { $warnings } 件）
cap-run-memory = パッケージ { $packages } バイト、インスタンス { $instance } バイト、揮発性 { $transient } バイト、スクリプト実行中の増加 { $growth } バイト
sim-personalized-before = このカードには JPKI アプレットが既にあります。そのまま使います。

# jpkise trace decode
decode-clear = 平文
decode-hidden = 記録に含まれていません
decode-malformed = コマンドでも応答でもありません
decode-not-initialized = セッションなし
decode-piece = 長いコマンドの一部
decode-key-set = 鍵バージョン { $kvn }、i = { $i }、{ $mode }
decode-level = レベル { $level }
decode-card-cryptogram = カードの暗号文 { $check }
decode-host-cryptogram = ホストの暗号文 { $check }
decode-c-mac = C-MAC { $check }
decode-r-mac = R-MAC { $check }
decode-good = 正しい
decode-bad = 誤り
decode-not-verifiable = 検証不能
decode-not-accepted = カードが受け付けませんでした
decode-challenge-random = 乱数チャレンジ
decode-challenge-fits = チャレンジはカウンターと AID に合っています
decode-challenge-differs = チャレンジがカウンターと AID に合いません
decode-challenge-not-checked = チャレンジは未確認
decode-closing = やり取り { $exchanges } 件、開いたセッション { $sessions } 件、誤り { $bad } 件、検証不能 { $open } 件、記録になし { $hidden } 件
# jpkise cap run --heap
cap-run-heap = メモリ上のオブジェクト（{ $after } の後）
cap-run-heap-what = オブジェクト
cap-run-heap-owner = 所有者
cap-run-heap-count = 個数
cap-run-heap-persistent = 不揮発性
cap-run-heap-reset = リセットまで
cap-run-heap-deselect = 選択解除まで
cap-run-heap-sum = 合計
cap-run-heap-runtime = 実行環境
cap-run-heap-load-file = （ロードファイル）
cap-run-heap-static-fields = （静的フィールド）
cap-run-heap-record = （管理レコード）
cap-run-heap-free = 空き: 不揮発性 { $persistent } バイト、揮発性 { $transient } バイト
cap-run-heap-unchanged = 前回の報告以降、増減したオブジェクトはありません
cap-run-heap-changes = 前回の報告以降の増減（個数、不揮発性 / 揮発性のバイト数）:
