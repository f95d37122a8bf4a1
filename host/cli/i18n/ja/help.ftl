heading-usage = 使い方:
heading-commands = コマンド
heading-options = オプション

help = jpkise: 空のセキュアエレメントから、検証済みの署名まで（公的個人認証サービスのスマホ搭載）
help-demo = 一連の流れを実行します（セキュリティドメイン、アプレット、鍵、証明書、署名、失敗すべき操作）
help-sim = 模擬 GP-SE を仮想 PC/SC カードとして動かします（Ctrl-C まで）
help-readers = リーダーとカードを一覧します
help-doctor = リーダー、ドライバー、サービス、権限、カード、アプレットを点検し、次の手を示します
help-trace = 記録した通信
help-trace-show = 記録した通信を読みやすく表示します

arg-reader = リーダー（名前、名前の一部、または jpkise readers の番号。環境変数 JPKISE_READER）
arg-trace = すべての APDU を FILE に JSON 行で記録します（秘密情報は種類だけを書きます）
arg-json = 標準出力に JSON オブジェクトを一つ出力します
arg-lang = メッセージの言語 ja または en（既定はロケール。環境変数 JPKISE_LANG）
arg-lab = 実カードで公開テスト鍵とテスト認証局の使用を許します
arg-yes = すべての確認に「はい」と答えます
arg-verbose = やり取りした APDU を標準エラー出力に表示します
arg-out = 証明書、署名、通信記録、要約を書き出すフォルダー（既定 demo-out）
arg-token = トークンの種類 phone（利用者証明用証明書は PIN の後に読める）または card（自由に読める）。既定は phone
arg-vpcd = vpcd が待ち受けるアドレス（既定 localhost:35963）
arg-personalized = 公開前に JPKI アプレットとテスト証明書を格納します
arg-file = 記録した通信のファイル
arg-help = このヘルプを表示します
arg-version = バージョンを表示します
